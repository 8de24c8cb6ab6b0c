"""Updates of a fit, its report and its figures, with their progress."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..config import given
from ..identification import (
    FitProblem,
    FitState,
    Record,
    Report,
    draw_fit,
    fit_loop,
    fit_report,
)
from ..progress import AbstractProgress
from ._fit_checkpoint import keep_fit
from ._reports import finish_fit


def run_updates(
    problem: FitProblem,
    state: FitState,
    records: list[Record],
    out: Path,
    progress: AbstractProgress,
    begun: float | None = None,
) -> Report:
    """Run the updates that are left, and write the report and the figures.

    **Arguments:** `begun`, time on the clock from which seconds are counted; now by default.
    """

    def keep(state: FitState, records: list[Record]) -> None:
        keep_fit(out, problem, state, records)
        progress.record(records[-1])
        progress.phase("fit", updates_of(records), total, {})

    total = given(problem.config.learner.updates)
    progress.phase("fit", updates_of(records), total, {})
    state, records = fit_loop(problem, state, records, keep, begun)
    progress.phase("evaluate", 0, 1, {})
    report, drawn = fit_report(problem, state, records)
    progress.phase("pictures", 0, 1, {})
    draw_fit(out, drawn, records, problem.config.model.name)
    return finish_fit(out, report, records)


@contextmanager
def shown(
    progress: AbstractProgress, problem: FitProblem, out: Path, records: list[Record]
) -> Iterator[None]:
    """Report the beginning and the end of a fit."""
    config = problem.config
    progress.begin(config, out, updates_of(records), (config.seed,))
    try:
        yield
    finally:
        progress.end()


def updates_of(records: list[Record]) -> int:
    """Count the updates so far."""
    return records[-1]["updates"] if records else 0
