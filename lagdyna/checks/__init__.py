"""Checks of descriptions of tasks against their environments."""

from ._check_task import check_task as check_task
from ._findings import Finding as Finding
