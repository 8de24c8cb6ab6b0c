"""Dyna with four models, and without one, on the pendulum (Das et al. 2026, Figure 3)."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from ..config import CollectConfig, Config, EvaluationConfig, RewardConfig
from ..parts import DynaConfig, LNNConfig
from ..plot import BLUE, GREEN, GREY, ORANGE, blank, finish, save
from ..results import steps_to
from ..statistics import sooner
from ._entries import Entry, entry, probability_entry
from ._reproduction import AbstractReproduction, PartProgress, Result, Results
from ._runs import plot_returns, train_or_resume

TARGET = -200.0


class Competitor(NamedTuple):
    """Agent of the figure.

    **Attributes:**

    - `label`, `colour`: of its curve.
    - `paper`: steps to the target, read off the paper's figure; `None` if it is not in it.
    - `options`: options of its config that are not the defaults.
    - `steps`, `quick_steps`: environment steps of a run, and of a quick one.
    """

    label: str
    colour: str
    paper: float | None
    options: Mapping[str, Any]
    steps: int = 1_000
    quick_steps: int = 400


_LNN_EKF: Mapping[str, Any] = {
    "agent": "dyna",
    "learner": "ekf",
    # The full covariance of larger networks would not fit into memory.
    "model": LNNConfig(hidden=(32, 32)),
    "reward": RewardConfig(hidden=(32, 32)),
}
_LNN_ADAM = {"agent": "dyna", "model": "lnn"}
_CONSTRAINED = {"agent": "dyna", "model": "constrained-mlp"}
_MODEL_FREE: Mapping[str, Any] = {
    "agent": DynaConfig(ratio=0.0),
    "collect": CollectConfig(random_steps=100, train_every=200),
}

COMPETITORS: Mapping[str, Competitor] = MappingProxyType(
    {
        "lnn-ekf": Competitor("Dyna, LNN, EKF", BLUE, 28_500.0, _LNN_EKF),
        "lnn-adam": Competitor("Dyna, LNN, Adam", ORANGE, 30_000.0, _LNN_ADAM),
        "constrained-mlp": Competitor(
            "Dyna, constrained network", GREEN, 36_500.0, _CONSTRAINED
        ),
        "model-free": Competitor(
            "the same agent without a model", GREY, 90_000.0, _MODEL_FREE, 10_000, 4_000
        ),
        "imagination": Competitor("lagdyna's default", "#7a3b9a", None, {}, 600, 200),
    }
)

# Pairs of agents whose probability of improvement is reported.
COMPARED = (
    ("lnn-ekf", "lnn-adam"),
    *((kind, "model-free") for kind in COMPETITORS if kind != "model-free"),
)


def run_config(kind: str, quick: bool, seed: int) -> Config:
    """Create the config of a run of one agent."""
    competitor = COMPETITORS[kind]
    return Config(
        task="Pendulum-v1",
        steps=competitor.quick_steps if quick else competitor.steps,
        seed=seed,
        evaluation=EvaluationConfig(episodes=20 if quick else 100),
        **competitor.options,
    )


class Das2026Figure3(AbstractReproduction):
    """Return against environment steps of four agents, and of lagdyna's default.

    The paper's environment is the inverted pendulum of Liu & Wang (2021): start angle uniform
    on the circle, start velocity within 1 rad/s, torque within 2 N m, speed within 8 rad/s,
    `dt` 0.05 s, 200 steps, reward `-(theta^2 + 0.1 thetad^2 + 0.001 u^2)`. Gymnasium's
    `Pendulum-v1` is the same task and is used here. Every agent is `lagdyna train` with its
    defaults and the options of its competitor.

    **Entries**, for each agent `AGENT`:

    - `steps_to_target.AGENT`: environment steps, random ones included, at the first
        evaluation with a mean return of -200 or more. The paper's are read off its figure,
        to a return that it does not print.
    - `return.AGENT`: mean return of the last evaluation.
    - `fewer_steps.AGENT.OTHER`: probability that a seed of one agent reaches the target in
        fewer steps than a seed of the other (Agarwal et al. 2021).
    """

    name = "das2026-figure3"
    title = "Dyna with LNN and EKF, LNN and Adam, constrained network, no model (Das 2026)"
    kinds = tuple(COMPETITORS)
    seeds = 10
    quick_seeds = 2

    def make(
        self, kind: str, seed: int, quick: bool, directory: Path, progress: PartProgress
    ) -> Result:
        return train_or_resume(run_config(kind, quick, seed), directory, progress)[1]

    def report(self, out: Path, results: Results, quick: bool) -> list[Entry]:
        _plot(out / "curves.png", results)
        note = ", --quick" if quick else ""
        made = [
            entry_of(kind, results.parts[kind], note)
            for entry_of in (_steps, _return)
            for kind in results.parts
        ]
        pairs = [pair for pair in COMPARED if {*pair} <= {*results.parts}]
        return [*made, *(_fewer(results, *pair) for pair in pairs)]


def _steps(kind: str, parts: list[Result], note: str) -> Entry:
    return entry(
        f"steps_to_target.{kind}",
        _to_target(parts),
        "steps",
        paper=COMPETITORS[kind].paper,
        note=f"to a return of {TARGET:g}{note}",
        missing=f"never reached it in {int(parts[0]['steps'][-1])} steps",
        interquartile=True,
    )


def _to_target(parts: list[Result]) -> list[float]:
    return [steps_to(part["steps"], part["returns"], TARGET) for part in parts]


def _fewer(results: Results, ours: str, theirs: str) -> Entry:
    a, b = results.parts[ours], results.parts[theirs]
    steps = np.asarray(_to_target(a)), np.asarray(_to_target(b))
    found = sooner(*steps, (float(a[0]["steps"][-1]), float(b[0]["steps"][-1])))
    return probability_entry(
        f"fewer_steps.{ours}.{theirs}",
        found,
        min(len(a), len(b)),
        f"that a seed of {ours} takes fewer steps to the target than one of {theirs}",
    )


def _return(kind: str, parts: list[Result], note: str) -> Entry:
    values = [float(part["returns"][-1]) for part in parts]
    note = f"after {int(parts[0]['steps'][-1])} steps{note}"
    return entry(f"return.{kind}", values, "", note=note, interquartile=True)


def _plot(path: Path, results: Results) -> None:
    """Plot return against experience; the axis is logarithmic, as agents differ tenfold."""
    figure = blank(7.0, 4.2)
    axes = figure.subplots()
    for kind in results.parts:
        competitor = COMPETITORS[kind]
        plot_returns(axes, results, kind, competitor.colour, competitor.label)
    axes.axhline(TARGET, color=GREY, ls="--", lw=1, label=f"target {TARGET:g}")
    axes.set(xscale="log", xlabel="steps of real experience", ylabel="return")
    axes.set_title("Pendulum-v1: interquartile mean and range over seeds", fontsize=10)
    finish(axes)
    figure.legend(frameon=False, ncols=2, loc="outside lower center")
    save(figure, path)
