from pathlib import Path

import numpy as np
from jaxtyping import Float

from ...config import Config
from ...results import steps_to
from ...statistics import improvement
from ...tasks import SUITE
from .._entries import Entry, entry, probability_entry
from .._reproduction import AbstractReproduction, PartProgress, Result, Results
from .._runs import train_or_resume
from ._figure import plot_returns_of_tasks
from ._model_error import model_errors
from ._published import MODELS, PAPER, REACHED, published

_EASY = ("pendulum", "reacher", "cartpole")
_LAST = 0.1  # fraction of the evaluations that a converged return is averaged over


def steps_of(task: str, quick: bool) -> int:
    """Number of environment steps of a run."""
    if quick:
        return 600 if task in _EASY else 2_000
    return SUITE[task].steps


def run_config(task: str, model: str, steps: int, seed: int) -> Config:
    """Create the config of a run: the defaults of `lagdyna train` with a model.

    **Raises:** `UserError` if there is no such model.
    """
    return Config(task=task, model=model, steps=steps, seed=seed)


def make_part(config: Config, directory: Path, progress: PartProgress) -> Result:
    """Train, or continue the run in the directory, and compute the errors of its model."""
    run, made = train_or_resume(config, directory, progress)
    progress("evaluating the model")
    return {**made, **model_errors(run)}


def converged_return(returns: Float[np.ndarray, " times"]) -> float:
    """Compute the mean over the last tenth of the evaluations, at least one."""
    last = max(round(_LAST * len(returns)), 1)
    return float(np.mean(returns[-last:]))


class Ramesh2023Suite(AbstractReproduction):
    """Return, experience and model error on seven tasks, DeLaN and a black box.

    Each task is learned by `lagdyna train` with its defaults: once with a DeLaN for the
    dynamics and once with a network for the change of state, the paper's LNN and DNN. The
    paper's own settings are not used. The defaults hold an action for several environment
    steps, and both models learn steps of that time.

    **Entries**, for each task `TASK`, and with `.mlp` added for the network:

    - `return.TASK`: mean return of 100 episodes without noise, averaged over the last tenth
        of a run's evaluations; in the paper, after convergence.
    - `steps_to_95.TASK`: environment steps, random ones included, at the first evaluation with
        95 % of the return that the paper's model of that kind converges to; in the paper,
        until convergence.
    - `one_step_l1.TASK`: mean absolute error of all coordinates, angles by the shorter way
        round, and velocities, in rad, m and s, over one step of the task's `dt`: one step of
        the run's solver for DeLaN. The network predicts the time of an action only, so its
        error is over that.
    - `observed_l1.TASK`: the same of observations, in which an angle is cosine and sine. The
        loss in the paper's code has this form, on batches of the training data; the paper
        does not say which form its table has.
    - `held_l1.TASK`: as `one_step_l1`, of DeLaN over the time of an action, to compare with
        the network.
    - `better_return.TASK`: probability that a seed with DeLaN has a higher return than one
        with the network (Agarwal et al. 2021), without `.mlp`.

    Errors are those of the final model in float64, on ten new episodes of the final policy
    with its noise in the float64 reference environment.
    """

    name = "ramesh2023-suite"
    title = "return, experience and model error on seven tasks, DeLaN and MLP (Ramesh 2023)"
    kinds = tuple(f"{task}.{model}" for task in PAPER for model in MODELS)
    seeds = 5
    tasks = tuple(PAPER)
    quick_tasks = ("pendulum",)

    def make(
        self, kind: str, seed: int, quick: bool, directory: Path, progress: PartProgress
    ) -> Result:
        task, model = kind.split(".")
        config = run_config(task, model, steps_of(task, quick), seed)
        return make_part(config, directory, progress)

    def report(self, out: Path, results: Results, quick: bool) -> list[Entry]:
        plot_returns_of_tasks(out / "curves.png", results)
        made = [
            made
            for entries in (_returns, _steps, _one_step, _observed, _held)
            for kind in results.parts
            for made in entries(kind, results.parts[kind], ", --quick" if quick else "")
        ]
        both = [task for task in PAPER if {f"{task}.{m}" for m in MODELS} <= {*results.parts}]
        return [*made, *(_better(task, results) for task in both)]


def _better(task: str, results: Results) -> Entry:
    ours, theirs = (
        [converged_return(part["returns"]) for part in results.parts[f"{task}.{model}"]]
        for model in ("delan", "mlp")
    )
    note = "that a seed of delan has a higher return than one of mlp"
    found = improvement(np.asarray(ours), np.asarray(theirs))
    seeds = min(len(ours), len(theirs))
    return probability_entry(f"better_return.{task}", found, seeds, note)


def _entries(
    figure: str,
    kind: str,
    values: list[float],
    unit: str,
    paper: float | None,
    note: str,
    **more: str,
) -> list[Entry]:
    """Create the entry `return.pendulum` of a DeLaN, `return.pendulum.mlp` of a network."""
    task, model = kind.split(".")
    name = f"{figure}.{task}" if model == "delan" else f"{figure}.{task}.{model}"
    return [entry(name, values, unit, paper=paper, note=note, interquartile=True, **more)]


def _returns(kind: str, parts: list[Result], quick: str) -> list[Entry]:
    values = [converged_return(part["returns"]) for part in parts]
    task = PAPER[kind.split(".")[0]]
    note = (
        f"after {int(parts[0]['steps'][-1])} steps; paper {published(kind).steps}, "
        f"without a model {task.sac:g} after {task.sac_steps}{quick}"
    )
    return _entries("return", kind, values, "", published(kind).value, note)


def _steps(kind: str, parts: list[Result], quick: str) -> list[Entry]:
    target = REACHED * published(kind).value
    values = [steps_to(part["steps"], part["returns"], target) for part in parts]
    note = f"to a return of {target:.1f}; the paper's until it converged{quick}"
    missing = f"never reached it in {int(parts[0]['steps'][-1])} steps"
    paper = float(published(kind).steps)
    return _entries("steps_to_95", kind, values, "steps", paper, note, missing=missing)


def _one_step(kind: str, parts: list[Result], quick: str) -> list[Entry]:
    values, over = _of_one_step(parts, "l1")
    note = f"q and qd {over}{quick}"
    return _entries("one_step_l1", kind, values, "", published(kind).error, note)


def _observed(kind: str, parts: list[Result], quick: str) -> list[Entry]:
    values, over = _of_one_step(parts, "observed")
    note = f"observations {over}{quick}"
    return _entries("observed_l1", kind, values, "", published(kind).error, note)


def _held(kind: str, parts: list[Result], quick: str) -> list[Entry]:
    if not kind.endswith(".delan"):
        return []  # the network's `one_step_l1` is over that time already
    values = [float(part["held_l1"]) for part in parts]
    return _entries("held_l1", kind, values, "", None, f"q and qd over an action's time{quick}")


def _of_one_step(parts: list[Result], name: str) -> tuple[list[float], str]:
    """Select the errors over the task's `dt`, or over an action's time if there are none."""
    if all(np.isnan(part[name]) for part in parts):
        return [float(part[f"held_{name}"]) for part in parts], "over an action's time"
    return [float(part[name]) for part in parts], "over the task's dt"
