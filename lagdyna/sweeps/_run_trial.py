"""Runs of one trial: training of several seeds as one program, or a fit for each seed."""

import dataclasses
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from .._errors import UserError
from ..config import Config, FitConfig
from ..progress import Silence, total_of
from ..results import LOCK_FILE, SEEDS_FILE, kind_of
from ..runs import fit_model, resume_fit, resume_seeds, train_seeds
from ._assignment import Assignment, Outcome


class _Rounds(Silence):
    """Progress that reports the interquartile mean over seeds after each round but the last,
    after which there is nothing to save by pruning.
    """

    def __init__(self, assignment: Assignment):
        self._report, self._note = assignment.report, assignment.note
        self._steps = 0

    def begin(
        self, config: Config | FitConfig, out: Path, done: int, seeds: Sequence[int]
    ) -> None:
        self._steps = total_of(config)

    def note(self, text: str) -> None:
        self._note(text)

    def record(self, record: dict[str, Any]) -> None:
        if record["env_steps"] < self._steps:
            self._report(record["round"], record["interquartile_mean"])


def run_training(assignment: Assignment) -> Outcome:
    """Train all seeds of a trial as one program, or continue their runs.

    **Raises:** `UserError` as [`lagdyna.runs.train_seeds`][].
    """
    config, directory, progress = assignment.config, assignment.directory, _Rounds(assignment)
    assert isinstance(config, Config)
    _forget_programs()
    _remove_unbegun(directory)
    if kind_of(directory) is None:
        summary = train_seeds(config, assignment.seeds, directory, progress=progress)
    else:
        summary = resume_seeds(directory, progress=progress, trust=assignment.trust)
    return Outcome(tuple(summary["returns"]), summary["wall_seconds"])


def run_fits(assignment: Assignment) -> Outcome:
    """Fit each seed of a trial in turn, or continue the fits.

    **Raises:** `UserError` as [`lagdyna.runs.fit_model`][].
    """
    config, begun = assignment.config, time.perf_counter()
    assert isinstance(config, FitConfig)
    _forget_programs()
    values = []
    for seed in range(config.seed, config.seed + assignment.seeds):
        directory = assignment.directory / f"seed-{seed}"
        _remove_unbegun(directory)
        if kind_of(directory) is None:
            report = fit_model(dataclasses.replace(config, seed=seed), directory)
        else:
            report = resume_fit(directory, trust=assignment.trust)
        values.append(error_of(report, assignment.error))
    return Outcome(tuple(values), time.perf_counter() - begun)


def error_of(report: dict[str, Any], name: str) -> float:
    """Find an error of a fit on validation data, averaged over coordinates.

    Test data are left out, which a choice of options must not see.

    **Arguments:** `report`, of a fit; `name`, such as `rollout_q`.
    """
    what, _, of = name.rpartition("_")
    found = report["validation"][what][of]
    if what == "rollout":
        found = found[-1]  # at the end of the rollouts
    if found is None or None in found:
        return float("nan")
    return float(np.sqrt(np.mean(np.square(np.asarray(found, float)))))


def _forget_programs() -> None:
    """Drop compiled programs of earlier trials, if they are so many that they could do harm.

    Each maps memory, and Linux allows a process 65,530 maps.
    """
    try:
        maps = len(Path("/proc/self/maps").read_bytes().splitlines())
    except OSError:  # not on Linux
        return
    if maps > _MAPS:
        jax.clear_caches()


_MAPS = 40_000


def _remove_unbegun(directory: Path) -> None:
    """Remove a run that was killed before its first checkpoint, which has learned nothing.

    **Raises:** `UserError` if the directory holds anything that such a run does not write.
    """
    checkpoint = directory / "checkpoint" / "training.npz"
    if checkpoint.exists() or not directory.is_dir():
        return
    for path in (directory, *directory.rglob("*")):
        if path.is_symlink() or not (path.is_dir() or _is_of_beginning(path.name)):
            raise UserError(
                f"{str(path)!r} is nothing that an interrupted run of a sweep leaves; move it "
                "away, so that the run can begin again"
            )
    shutil.rmtree(directory)


def _is_of_beginning(name: str) -> bool:
    """Whether runs write a file of that name before their first checkpoint."""
    return name in _BEGINNING or name.startswith(".lagdyna-")


_BEGINNING = (
    *("run.json", "config.toml", SEEDS_FILE, LOCK_FILE, "sizes.json", "robot.json"),
    *("metrics.jsonl", "training.npz"),  # of the first seeds
)
