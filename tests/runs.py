"""Runs that are over in a second, once they are compiled, and what the tests ask of them."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

from lagdyna.experiments import AbstractProgress, Config, config_from_table
from lagdyna.tasks import get_task

# With the module in front, as a user would name an environment of their own.
SHORT_PENDULUM = "tests.environments:lagdyna-tests/ShortPendulum-v0"

TINY: dict[str, Any] = {
    "task": {**dataclasses.asdict(get_task("Pendulum-v1")), "env_id": SHORT_PENDULUM},
    "steps": 60,
    "model": {"hidden": [8]},
    "learner": {"updates": 20, "batch": 8},
    "reward": {"hidden": [8]},
    "agent": {"hidden": [8], "horizon": 3, "updates": 10, "batch": 8},
    "collect": {"random_steps": 15, "train_every": 10, "steps_per_round": 20},
    "evaluation": {"episodes": 2},
}
"""Three rounds of one episode each, with two trainings in each of them."""


def tiny(**changes: Any) -> Config:
    """`TINY` with other options, sections merged."""
    merged = {
        key: {**TINY[key], **value} if isinstance(value, dict) and key in TINY else value
        for key, value in changes.items()
    }
    return config_from_table({**TINY, **merged})


_compiled: list[str] = []


def _listen(event: str, duration: float, **_: Any) -> None:
    if event == "/jax/core/compile/backend_compile_duration":
        _compiled.append(event)


jax.monitoring.register_event_duration_secs_listener(_listen)


class Recorder(AbstractProgress):
    """Notes everything it is told, and how many programs had been compiled by then.

    **Arguments:** `interrupt`, the number of the event at which Ctrl-C is pressed.
    """

    def __init__(self, interrupt: int | None = None):
        self.events: list[tuple[str, Any]] = []
        self.compiled: list[int] = []
        self._interrupt = interrupt

    def _note(self, name: str, what: Any) -> None:
        if len(self.events) == self._interrupt:
            raise KeyboardInterrupt
        self.events.append((name, what))
        self.compiled.append(len(_compiled))

    def of(self, name: str) -> list[Any]:
        return [what for other, what in self.events if other == name]

    def begin(self, config: Config, out: Path, env_steps: int) -> None:
        self._note("begin", (config, out, env_steps))

    def phase(self, name: str, done: int, total: int, metrics: dict[str, float]) -> None:
        self._note("phase", (name, done, total, metrics))

    def evaluation(self, evaluation: dict[str, Any]) -> None:
        self._note("evaluation", evaluation)

    def record(self, record: dict[str, Any]) -> None:
        self._note("record", record)

    def end(self) -> None:
        self.events.append(("end", None))


def metrics_of(run: Path) -> list[dict[str, Any]]:
    """The lines of `metrics.jsonl`, without what depends on the clock."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: line[key] for key in line if key != "seconds"} for line in lines]


def summary_of(run: Path) -> dict[str, Any]:
    """`summary.json`, without what depends on the clock."""
    summary = json.loads((run / "summary.json").read_text())
    return {key: summary[key] for key in summary if key != "wall_seconds"}


def arrays_of(run: Path) -> dict[str, np.ndarray]:
    """Every array of a run's checkpoint; not the notes, which know the time."""
    with np.load(run / "checkpoint" / "training.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files if name != "notes"}


def assert_same_result(one: Path, other: Path) -> None:
    """The same lines, summary and, bit for bit, arrays."""
    assert metrics_of(one) == metrics_of(other)
    assert summary_of(one) == summary_of(other)
    first, second = arrays_of(one), arrays_of(other)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], strict=True)


def contents(directory: Path) -> dict[str, bytes]:
    """Every file below a directory, to see whether anything was written."""
    return {
        str(path.relative_to(directory)): path.read_bytes() if path.is_file() else b""
        for path in sorted(directory.rglob("*"))
    }
