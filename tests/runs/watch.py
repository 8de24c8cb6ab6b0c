"""Files of runs, and progress receivers that interrupt them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lagdyna.config import Config, FitConfig
from lagdyna.progress import Silence

SUMMARY = {
    *("task", "agent", "model", "learner", "solver", "seed", "env_steps", "return_mean"),
    *(
        "return_std",
        "eval_episodes",
        "steps_to_target",
        "target_return",
        "wall_seconds",
        "notes",
    ),
    *("numerics", "commit", "machine", "device", "versions", "seal"),
}


def records_of(run: Path) -> list[dict[str, Any]]:
    """The lines of metrics of a run."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def same_run(a: Path, b: Path) -> None:
    """Assert that two runs have equal metrics and equal checkpoints, to the bit."""
    left, right = (
        [{k: v for k, v in record.items() if k != "seconds"} for record in records_of(run)]
        for run in (a, b)
    )
    assert left == right
    left, right = arrays_of(a), arrays_of(b)
    assert left.keys() == right.keys()
    for name in left:
        np.testing.assert_array_equal(left[name], right[name])


def arrays_of(run: Path) -> dict[str, np.ndarray]:
    """The arrays of a run's checkpoint by their names."""
    with np.load(run / "checkpoint" / "training.npz") as file:
        return {name: file[name] for name in file.files if name not in ("notes", "seal")}


class StopAfterEvents(Silence):
    """Interrupts a run at one of its progress events, as a user's Ctrl-C would."""

    def __init__(self, events: int):
        self.events = events

    def phase(self, name: str, done: int, total: int, metrics: dict[str, float]) -> None:
        self.events -= 1
        if self.events == 0:
            raise KeyboardInterrupt


class StopAfterEvaluations(Silence):
    """Interrupts a run at one of its evaluations, once its training phase is kept."""

    def __init__(self, evaluations: int):
        self.evaluations = evaluations

    def evaluation(self, evaluation: dict[str, Any]) -> None:
        self.evaluations -= 1
        if self.evaluations == 0:
            raise KeyboardInterrupt


class StopAfterRounds(Silence):
    """Interrupts a run after a round, if `rounds` is given, and notes its events."""

    def __init__(self, rounds: int | None = None):
        self.rounds = rounds
        self.began: list[int] = []
        self.ended = 0
        self.names: list[str] = []
        self.recorded: list[int] = []

    def begin(
        self, config: Config | FitConfig, out: Path, done: int, seeds: Sequence[int]
    ) -> None:
        self.began.append(done)

    def phase(self, name: str, done: int, total: int, metrics: dict[str, float]) -> None:
        assert 0 <= done <= total
        self.names.append(name)

    def record(self, record: dict[str, Any]) -> None:
        self.recorded.append(record["env_steps" if "env_steps" in record else "updates"])
        if record["round"] == self.rounds:
            raise KeyboardInterrupt

    def end(self) -> None:
        self.ended += 1
