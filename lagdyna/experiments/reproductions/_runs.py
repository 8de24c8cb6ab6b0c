"""Reproductions whose parts are training runs."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._config import Config
from .._curves import evaluations_of
from .._differences import check_unchanged
from .._progress import AbstractProgress
from .._run import Run, config_of, load_run, resume, train
from .._statistics import Improvement, interquartile_mean, interval
from .._trainer import Trainer
from ._reproduction import Entry, Result, Results, entry

if TYPE_CHECKING:
    import matplotlib.axes


class Telling(AbstractProgress):
    """Tells how a run goes on, in a few words."""

    def __init__(self, tell: Callable[[str], None]):
        self._tell = tell
        self._steps = 0

    def begin(self, config: Config, out: Path, env_steps: int, seeds: Any) -> None:
        self._steps = config.steps_or_default

    def phase(self, name: str, done: int, total: int, metrics: dict[str, float]) -> None:
        pass

    def evaluation(self, evaluation: dict[str, Any]) -> None:
        steps, value = evaluation["env_steps"], evaluation["return_mean"]
        self._tell(f"return {value:.0f} after {steps} of {self._steps} steps")

    def record(self, record: dict[str, Any]) -> None:
        pass

    def end(self) -> None:
        pass


def train_or_resume(
    config: Config, directory: Path, tell: Callable[[str], None]
) -> tuple[Run, Result]:
    """Trains, or goes on with the training that stands in the directory.

    **Returns:** the run, and of its evaluations `steps` and `returns`; its `seconds`.

    **Raises:** `UserError` if what stands there was begun with another config.
    """
    progress = Telling(tell)
    begun = (directory / "config.toml").exists()
    if begun:
        check_unchanged(str(directory), config_of(directory), Trainer(config).config)
    summary = (
        resume(directory, progress=progress)
        if begun
        else train(config, directory, progress=progress)
    )
    run = load_run(directory)
    steps, returns = evaluations_of(run.records)
    return run, {
        "steps": steps,
        "returns": returns,
        "seconds": np.asarray(summary["wall_seconds"]),
    }


def middle_entry(
    name: str,
    values: list[float],
    unit: str,
    *,
    paper: float | None = None,
    note: str = "",
    missing: str = "without a value",
) -> Entry:
    """The entry of an interquartile mean over seeds, with its 95 % bootstrap interval."""
    finite = np.asarray([value for value in values if np.isfinite(value)])
    ends = interval(finite) if finite.size else None
    what = "interquartile mean"
    if ends is not None:
        what = f"{what}, 95 % from {ends[0]:.4g} to {ends[1]:.4g}"
    return entry(
        name,
        values,
        unit,
        paper=paper,
        note=f"{what}; {note}" if note else what,
        missing=missing,
        middle=interquartile_mean,
    )


def probability_entry(name: str, found: Improvement, seeds: int, note: str) -> Entry:
    """The entry of a probability of improvement, between the ends of its interval."""
    note = f"probability {note}, 95 % bootstrap interval"
    return Entry(name, None, *found, unit="", seeds=seeds, note=note)


def band(
    axes: "matplotlib.axes.Axes", results: Results, kind: str, colour: str, label: str
) -> None:
    """The interquartile mean of returns over seeds, and their range."""
    steps, returns = results.parts[kind][0]["steps"], results.stacked(kind, "returns")
    axes.fill_between(steps, returns.min(0), returns.max(0), color=colour, alpha=0.15, lw=0)
    middle = [interquartile_mean(column) for column in returns.T]
    axes.plot(steps, middle, color=colour, lw=1.4, label=label)
