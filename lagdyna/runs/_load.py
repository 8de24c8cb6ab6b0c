"""Loading and continuation of runs of any kind."""

from pathlib import Path
from typing import Any

from .._errors import UserError
from ..config import Known
from ..models import RewardFn
from ..results import kind_of
from ._fit import FittedRun, load_fit, resume_fit
from ._seeds import resume_seeds
from ._train import Agent, Learner, Model, Run, load_run, resume_run
from ._trust import Trust


def load(
    run: str | Path,
    *,
    model: Model | None = None,
    learner: Learner | None = None,
    agent: Agent | None = None,
    known: Known | None = None,
    reward: RewardFn | None = None,
    trust: Trust = False,
) -> Run | FittedRun:
    """Load a training run or a fit from its directory, finished or not.

    [`lagdyna.runs.load_run`][] and [`lagdyna.runs.load_fit`][] load one kind, with its type.

    **Arguments:**

    - `run`: the directory.
    - `trust`: whether Python code that the run's config names may be run: `FILE.py:NAME`, or
        the module of an environment. Or the options that name it, with the same values, such as
        `{"model": "mine.py:Mine"}`.
    - the others as for [`lagdyna.runs.train`][] or [`lagdyna.runs.fit_model`][], if they were
        given there.

    **Raises:** `UserError` if the directory holds neither, or a damaged run; or if its config
    names code that is not trusted.
    """
    if kind_of(run) == "fit":
        return load_fit(run, model=model, learner=learner, known=known, trust=trust)
    return load_run(
        run,
        model=model,
        learner=learner,
        agent=agent,
        known=known,
        reward=reward,
        trust=trust,
    )


def resume(run: str | Path, **options: Any) -> dict[str, Any]:
    """Continue an interrupted training run, run of several seeds, or fit.

    **Arguments:** `run`, the directory; `options`, as for [`lagdyna.runs.resume_run`][],
    [`lagdyna.runs.resume_seeds`][] or [`lagdyna.runs.resume_fit`][].

    **Returns:** the content of `summary.json`, or of a fit of `report.json`.

    **Raises:** `UserError` if the directory holds no such run, or a damaged one.
    """
    kind = kind_of(run)
    if kind == "reproduction":
        raise UserError(
            f"`run` was {str(run)!r}, which holds a reproduction; "
            "`lagdyna.reproductions.resume_reproduction` or `lagdyna resume` continues it"
        )
    if kind == "sweep":
        raise UserError(
            f"`run` was {str(run)!r}, which holds a sweep; `lagdyna.sweeps.resume_sweep` or "
            "`lagdyna resume` continues it"
        )
    other = "steps" if kind == "fit" else "updates"
    if options.pop(other, None) is not None:
        holds = "a fit, which has no steps" if kind == "fit" else "no fit"
        raise UserError(f"`{other}` was given, and {str(run)!r} holds {holds}; leave it out")
    if kind == "fit":
        return resume_fit(run, **options)
    if kind == "seeds":
        return resume_seeds(run, **options)
    return resume_run(run, **options)
