"""Sweeps whose trials take no time."""

from pathlib import Path
from typing import Any

from lagdyna.config import Config
from lagdyna.sweeps import Assignment, Outcome, SweepConfig, sweep_config

TABLE: dict[str, Any] = {
    "trials": 4,
    "seeds": 2,
    "sampler": "random",
    "train": {"task": "Pendulum-v1", "steps": 60},
    "space": {
        "agent.horizon": [4, 8, 16],
        "learner.rate": {"low": 1e-4, "high": 1e-2, "log": True},
        "model": ["delan", {"name": "lnn", "hidden": [8]}],
    },
}


def a_config(**changes: Any) -> SweepConfig:
    """The config of a sweep of four trials, with changes."""
    return sweep_config({**TABLE, **changes})


GRID: dict[str, Any] = {
    "sampler": "grid",
    "trials": None,
    "space": {"agent": {"horizon": [4, 8]}, "model.hidden": [[8], [9, 9]]},
}


def horizon_of(assignment: Assignment) -> int:
    """The horizon of a trial."""
    config: Any = assignment.config
    assert isinstance(config, Config)
    return config.agent.horizon


def cheap(assignment: Assignment) -> Outcome:
    """Run nothing; the values of the two seeds are the horizon and 0."""
    assignment.directory.mkdir(exist_ok=True)
    return Outcome((float(horizon_of(assignment)), 0.0), 0.5)


def everything(folder: Path) -> dict[str, bytes]:
    """The content of all files in a folder by their names."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
