"""Checks of recordings before a fit: units, contradictions, angles and forces."""

from ._finding import Finding as Finding
from ._recordings import check_recordings as check_recordings
