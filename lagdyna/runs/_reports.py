"""Reports of fits, in their directories."""

import os
from pathlib import Path

from .._errors import UserError
from ..identification import Record, Report
from ..reports import REPORT
from ..results import (
    FitRecord,
    ReportFile,
    digest_of_lines,
    read_metrics,
    read_sealed,
    write_sealed,
)
from ._directory import platform_of, reported


def finished_report(run: Path) -> Report | None:
    """Read the report of a finished fit; `None` if it is not finished.

    **Raises:** `UserError` if it is damaged, or does not belong to the metrics.
    """
    path = run / "report.json"
    if not os.path.lexists(path):
        return None
    try:
        metrics = digest_of_lines(read_metrics(run / "metrics.jsonl", FitRecord))
        return read_sealed(path, ReportFile, metrics)[1]
    except UserError as error:
        raise UserError(
            f"{error}; once {str(path)!r} is deleted, `lagdyna resume` writes it anew, unless "
            "other files are damaged too"
        ) from error


def finish_fit(run: Path, report: Report, records: list[Record]) -> Report:
    """Write the report of a fit, with code, machine and versions, and its page."""
    whole = {**report, **platform_of()}
    return reported(run, write_sealed(run / "report.json", whole, digest_of_lines(records)))


def reopen_fit(run: Path) -> None:
    """Remove the report of a fit that goes on."""
    for name in ("report.json", REPORT):
        (run / name).unlink(missing_ok=True)
