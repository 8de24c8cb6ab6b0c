"""Comparison of runs of one kind."""

from pathlib import Path
from typing import Any

from .._errors import UserError
from ..results import kind_of
from ._compare_fits import compare_fits
from ._compare_training import compare_training


def compare(
    runs: list[str | Path], out: str | Path | None = None, target: float | None = None
) -> list[dict[str, Any]]:
    """Compare fits by their errors, or agents on one task by their returns.

    **Arguments:**

    - `runs`: directories of `lagdyna fit`, or of `lagdyna train` with or without `--seeds`.
    - `out`: a new or empty directory for the table and a plot; nothing is written by default.
    - `target`: of agents, the return that the steps to it are counted for; by default the
        task's.

    **Returns:** the rows of [`lagdyna.runs.compare_fits`][] or of
    [`lagdyna.runs.compare_training`][].

    **Raises:** `UserError` if there are no runs, they are of two kinds, or one is not finished
    or damaged.
    """
    kinds = [kind_of(run) for run in runs]
    for run, kind in zip(runs, kinds, strict=True):
        if kind == "sweep":
            raise UserError(
                f"`runs` has {str(run)!r}, which holds a sweep; "
                "`lagdyna.sweeps.best_trials` lists the runs of its best trials"
            )
    # A target is for agents, so a directory without a run is refused as one of theirs.
    if "train" in kinds or "seeds" in kinds or (target is not None and None in kinds):
        return compare_training(runs, out, target)
    if target is not None:
        raise UserError(
            f"`target` was {target:g} for fits, which have no return; runs of `lagdyna train` "
            "have one"
        )
    return compare_fits(runs, out)
