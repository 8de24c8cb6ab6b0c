"""Parts of a reproduction that are training runs."""

import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config import Config, FitConfig
from ..options import check_unchanged, config_to_toml, read_table
from ..progress import AbstractProgress, total_of
from ..results import evaluations_of, kind_of
from ..runs import Run, load_run, resume_run, train
from ..statistics import interquartile_mean
from ..training import Trainer
from ._reproduction import PartProgress, Result, Results

if TYPE_CHECKING:
    import matplotlib.axes


class PartDisplay(AbstractProgress):
    """Progress receiver that reports evaluations and updates in a few words.

    **Attributes:** `seconds`, from creation to the latest record of a fit.
    """

    def __init__(self, progress: PartProgress):
        self._progress = progress
        self._total, self._start, self.seconds = 0, time.perf_counter(), 0.0

    def begin(
        self, config: Config | FitConfig, out: Path, done: int, seeds: Sequence[int]
    ) -> None:
        self._total = total_of(config)

    def phase(self, name: str, done: int, total: int, metrics: dict[str, float]) -> None:
        pass

    def evaluation(self, evaluation: dict[str, Any]) -> None:
        steps, value = evaluation["env_steps"], evaluation["return_mean"]
        self._progress(f"return {value:.0f} after {steps} of {self._total} steps")

    def record(self, record: dict[str, Any]) -> None:
        if "updates" in record:
            self.seconds = time.perf_counter() - self._start
            loss = record["loss"] or float("nan")
            self._progress(f"{record['updates']} updates, loss {loss:.2g}")

    def end(self) -> None:
        pass


def train_or_resume(
    config: Config, directory: Path, progress: PartProgress
) -> tuple[Run, Result]:
    """Train, or continue the run in the directory.

    **Returns:** the run; and the `steps` and `returns` of its evaluations, and its `seconds`.

    **Raises:** `UserError` if that run was begun with another config.
    """
    receiver = PartDisplay(progress)
    if kind_of(directory) == "train":
        # As tables, so that nothing which a stored config names is run.
        begun = read_table(directory / "config.toml")
        now = tomllib.loads(config_to_toml(Trainer(config).config))
        check_unchanged(str(directory), begun, now)
        summary = resume_run(directory, progress=receiver)
    else:
        summary = train(config, directory, progress=receiver)
    run = load_run(directory)
    steps, returns = evaluations_of(run.records)
    seconds = np.asarray(summary["wall_seconds"])
    return run, {"steps": steps, "returns": returns, "seconds": seconds}


def plot_returns(
    axes: "matplotlib.axes.Axes", results: Results, kind: str, colour: str, label: str
) -> None:
    """Plot the interquartile mean of returns over seeds, and their range."""
    steps, returns = results.parts[kind][0]["steps"], results.stacked(kind, "returns")
    axes.fill_between(steps, returns.min(0), returns.max(0), color=colour, alpha=0.15, lw=0)
    middle = [interquartile_mean(column) for column in returns.T]
    axes.plot(steps, middle, color=colour, lw=1.4, label=label)
