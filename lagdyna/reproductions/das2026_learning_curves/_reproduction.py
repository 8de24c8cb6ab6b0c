from pathlib import Path

import msgspec
import numpy as np

from ...config import given
from .._entries import Entry, entry
from .._reproduction import AbstractReproduction, PartProgress, Result, Results
from ._figure import plot_curves
from ._problem import ROWS, STEPS, TASKS, UNSEEN, make_task, prepare
from ._training import LEARNERS, SETTINGS, first_below, train

_SIZES = (100, 400, ROWS)
_AGAINST_DATA = ("adam", "ekf", "ekf-block")


class Das2026LearningCurves(AbstractReproduction):
    """Error of a learned model against updates, seconds and data, for Adam and filters.

    All learners of a seed have the same DeLaN (two networks of two layers of 16, tanh) and the
    same 1600 steps of eight episodes of random actions in the same order. 1000 steps of five
    other episodes evaluate it. The error is the root mean square of the one-step error, each
    coordinate and velocity in units of the root mean square of its change in one step: 1 is
    the error of predicting no change. The paper learns an LNN on the pendulum alone, and
    prints no such figures.

    Ratios are relative to the whole training of Adam: updates or seconds until the error of a
    filter first is at or below Adam's last. Ratios of Adam itself are below 1 if it has
    reached its last error before the end. The panel "against data" shows the last error of
    trainings with the same number of updates on the first 100 and 400 steps.
    """

    name = "das2026-learning-curves"
    title = "model error against updates, seconds and data, Adam and Kalman filters (Das 2026)"
    kinds = tuple(f"{learner}.{task}" for task in TASKS for learner in LEARNERS)
    seeds = 5

    def make(
        self, kind: str, seed: int, quick: bool, directory: Path, progress: PartProgress
    ) -> Result:
        learner, name = kind.split(".")
        config = SETTINGS[learner][name]
        updates = given(config.updates)
        if quick:
            updates = max(updates // 4, 1)
            config = msgspec.structs.replace(config, updates=updates)
        problem = prepare(make_task(name), seed)
        sizes = _SIZES if learner in _AGAINST_DATA and not quick else (ROWS,)
        curve, last = None, []
        for rows in sizes:
            progress(f"{updates} updates on {rows} steps")
            curve = train(config, problem, rows)
            last.append(curve.error[-1])
        assert curve is not None
        of_sizes = {"sizes": np.asarray(sizes), "error_of_size": np.asarray(last)}
        return {**curve._asdict(), **of_sizes}

    def report(self, out: Path, results: Results, quick: bool) -> list[Entry]:
        plot_curves(out / "learning_curves.png", results, _SIZES)
        note = f"{UNSEEN * STEPS} unseen steps" + (", --quick" if quick else "")
        entries = [
            entry(f"{name}.{kind}", results.stacked(kind, name)[:, -1], unit, note=note)
            for name, unit in (("error", ""), ("seconds", "s"))
            for kind in self.kinds
        ]
        for measure in ("updates", "seconds"):
            for kind in self.kinds:
                task = kind.split(".")[1]
                ratios = to_adam_error(
                    measure, results.parts[kind], results.parts[f"adam.{task}"]
                )
                name = f"{measure}_to_adam_error.{kind}"
                missing = "never reached Adam's error"
                entries.append(entry(name, ratios, "", note=note, missing=missing))
        return entries


def to_adam_error(measure: str, of_filter: list[Result], of_adam: list[Result]) -> list[float]:
    """Compute the effort of a filter until Adam's last error, relative to Adam's effort.

    **Arguments:** `measure`, `updates` or `seconds`; the results of both, one per seed.

    **Returns:** a ratio for each seed, `nan` where the filter does not reach the error.
    """
    return [
        first_below(found[measure], found["error"], adam["error"][-1])
        / float(adam[measure][-1])
        for found, adam in zip(of_filter, of_adam, strict=True)
    ]
