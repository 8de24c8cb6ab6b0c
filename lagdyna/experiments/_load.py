from pathlib import Path

from ._fit_build import Known
from ._fitting import FittedRun, is_fit, load_fit
from ._run import Run, load_run
from ._trainer import RewardFn


def load(
    run: str | Path, *, reward: RewardFn | None = None, known: Known | None = None
) -> Run | FittedRun:
    """Reads whatever a directory holds, finished or not: a training run or a fit.

    Who knows which it is calls [`lagdyna.experiments.load_run`][] or
    [`lagdyna.experiments.load_fit`][], and a type checker knows too.

    **Arguments:** `run`, the directory; `reward`, the function that was passed to
    [`lagdyna.experiments.train`][], and `known`, the system that was passed to
    [`lagdyna.experiments.fit_model`][], if one was.

    **Raises:** `UserError` if the directory holds neither, or something damaged.
    """
    return load_fit(run, known=known) if is_fit(run) else load_run(run, reward=reward)
