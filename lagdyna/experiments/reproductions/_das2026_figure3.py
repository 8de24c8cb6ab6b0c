"""Dyna with four models, and without one, on the pendulum (Das et al. 2026, Figure 3)."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from .._config import Config
from .._curves import steps_to
from .._plots import BLUE, GREEN, GREY, ORANGE, blank, finish, save
from .._statistics import sooner
from .._toml import config_from_table
from ._reproduction import AbstractReproduction, Entry, Result, Results
from ._runs import band, middle_entry, probability_entry, train_or_resume

TARGET = -200.0


class Competitor(NamedTuple):
    """An agent of the figure.

    **Attributes:** `label`; `colour`, of its curve; `paper`, its steps to the target there,
    read off the figure, `None` if it is not in it; `steps`, of experience that a run is given,
    and `quick_steps`; `table`, how its config differs from the defaults.
    """

    label: str
    colour: str
    paper: float | None
    steps: int
    quick_steps: int
    table: dict[str, Any]


_DYNA: dict[str, Any] = {"name": "dyna"}
# The covariance of all weights of larger networks would not fit.
_SMALL: dict[str, Any] = {"hidden": [32, 32]}

COMPETITORS: Mapping[str, Competitor] = MappingProxyType(
    {
        "lnn-ekf": Competitor(
            "Dyna, LNN, EKF",
            BLUE,
            28_500.0,
            1_000,
            400,
            {
                "agent": _DYNA,
                "model": {"name": "lnn", **_SMALL},
                "reward": _SMALL,
                "learner": {"name": "ekf"},
            },
        ),
        "lnn-adam": Competitor(
            "Dyna, LNN, Adam",
            ORANGE,
            30_000.0,
            1_000,
            400,
            {"agent": _DYNA, "model": {"name": "lnn"}},
        ),
        "constrained-mlp": Competitor(
            "Dyna, constrained network",
            GREEN,
            36_500.0,
            1_000,
            400,
            {"agent": _DYNA, "model": {"name": "constrained-mlp"}},
        ),
        "model-free": Competitor(
            "the same agent without a model",
            GREY,
            90_000.0,
            10_000,
            4_000,
            {
                "agent": {"name": "dyna", "dyna": {"ratio": 0.0}},
                "collect": {"random_steps": 100, "train_every": 200},
            },
        ),
        "imagination": Competitor("lagdyna's default", "#7a3b9a", None, 600, 200, {}),
    }
)


COMPARED = (
    ("lnn-ekf", "lnn-adam"),
    *((kind, "model-free") for kind in COMPETITORS if kind != "model-free"),
)
"""Which are told how probably the one is better than the other."""


def run_config(kind: str, quick: bool, seed: int) -> Config:
    """The config of a run."""
    given = COMPETITORS[kind]
    steps = given.quick_steps if quick else given.steps
    evaluation = {"episodes": 20 if quick else 100}
    table = {"task": "Pendulum-v1", "steps": steps, "seed": seed, "evaluation": evaluation}
    return config_from_table({**table, **given.table})


class Das2026Figure3(AbstractReproduction):
    """Return against environment steps of four agents, and of lagdyna's own.

    The paper's environment is the inverted pendulum of Liu & Wang (2021): start angle uniform
    on the circle, start velocity within 1 rad/s, torque within 2 N m, speed within 8 rad/s,
    `dt` 0.05 s, 200 steps, reward `-(theta^2 + 0.1 thetad^2 + 0.001 u^2)`. All of that is
    Gymnasium's `Pendulum-v1`, so that is what is learned. Agents are `lagdyna train` with its
    defaults, except for what tells them apart.

    **Figures**, for each agent `AGENT`:

    - `steps_to_target.AGENT`: environment steps, random ones included, at the first
        evaluation with a mean return of -200 or more; the paper's are read off its figure,
        to a return that it does not print.
    - `return.AGENT`: the mean return of the last evaluation.
    - `fewer_steps.AGENT.OTHER`: the probability that a seed of the one reaches the target in
        fewer steps than a seed of the other (Agarwal et al. 2021).
    """

    name = "das2026-figure3"
    title = "Dyna with LNN and EKF, LNN and Adam, constrained network, no model (Das 2026)"
    kinds = tuple(COMPETITORS)
    seeds = 10
    quick_seeds = 2

    def make(
        self, kind: str, seed: int, quick: bool, directory: Path, tell: Callable[[str], None]
    ) -> Result:
        return train_or_resume(run_config(kind, quick, seed), directory, tell)[1]

    def report(self, out: Path, results: Results, quick: bool) -> list[Entry]:
        draw(out / "curves.png", results)
        note = ", --quick" if quick else ""
        made = [
            figure(kind, results.parts[kind], note)
            for figure in (_steps, _return)
            for kind in results.parts
        ]
        pairs = [pair for pair in COMPARED if {*pair} <= {*results.parts}]
        return [*made, *(_fewer(results, *pair) for pair in pairs)]


def _steps(kind: str, parts: list[Result], note: str) -> Entry:
    return middle_entry(
        f"steps_to_target.{kind}",
        _to_target(parts),
        "steps",
        paper=COMPETITORS[kind].paper,
        note=f"to a return of {TARGET:g}{note}",
        missing=f"never reached it in {int(parts[0]['steps'][-1])} steps",
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
    return middle_entry(f"return.{kind}", values, "", note=note)


def draw(path: Path, results: Results) -> None:
    """Return against experience, on a logarithmic axis: agents differ by tens of times."""
    figure = blank(7.0, 4.2)
    axes = figure.subplots()
    for kind in results.parts:
        band(axes, results, kind, COMPETITORS[kind].colour, COMPETITORS[kind].label)
    axes.axhline(TARGET, color=GREY, ls="--", lw=1, label=f"target {TARGET:g}")
    axes.set(xscale="log", xlabel="steps of real experience", ylabel="return")
    axes.set_title("Pendulum-v1: interquartile mean and range over seeds", fontsize=10)
    finish(axes)
    figure.legend(frameon=False, ncols=2, loc="outside lower center")
    save(figure, path)
