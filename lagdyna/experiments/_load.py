from pathlib import Path

from ._fitting import FittedRun, is_fit, load_fit
from ._run import Run, load_run
from ._trainer import RewardFn


def load(run: str | Path, *, reward: RewardFn | None = None) -> Run | FittedRun:
    """Reads whatever a directory holds, finished or not: a training run or a fit.

    Who knows which it is calls [`lagdyna.experiments.load_run`][] or
    [`lagdyna.experiments.load_fit`][], and a type checker knows too.

    **Arguments:** `run`, the directory; `reward`, the function that was passed to
    [`lagdyna.experiments.train`][], if one was.

    **Raises:** `UserError` if the directory holds neither, or something damaged.
    """
    return load_fit(run) if is_fit(run) else load_run(run, reward=reward)
