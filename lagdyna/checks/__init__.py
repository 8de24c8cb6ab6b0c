"""Checks before learning: of recordings, and of the description of a task."""

from ._check_task import check_task as check_task
from ._finding import Finding as Finding
from ._findings import TaskFinding as TaskFinding
from ._recordings import check_recordings as check_recordings
