"""Reports of fits, read from their directories."""

import os
from pathlib import Path

from .._errors import UserError
from ..identification import Report
from ..results import FitRecord, ReportFile, digest_of_lines, read_metrics, read_sealed


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
