"""Exports: functions of a run as files that other programs use."""

from ._export import What as What
from ._export import export as export
