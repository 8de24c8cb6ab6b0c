"""A finished run that tests of several files read."""

import dataclasses
import os
from pathlib import Path

import pytest

from lagdyna.runs import train

from .. import environments as environments  # registers them
from ..small import MLP, REPLAYED, small_config

PENDULUM = small_config().task

# Six phases in three rounds, and two policies of three phases each. Velocities are estimated
# from positions, so that the estimates have to continue within an episode too.
CONFIG = small_config(
    steps=60,
    task={
        **PENDULUM.__dict__,
        "env_id": "lagdyna-tests/ShortPendulum-v0",
        "coordinates": [dataclasses.replace(PENDULUM.coordinates[0], velocity=None)],
        "unchecked": True,
    },
    model=MLP,
    agent={"updates": 5, "restart_interval": 3, **REPLAYED},
)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of `CONFIG`, trained once for all workers; tests only read it."""
    base = tmp_path_factory.getbasetemp()
    # Each worker has a folder in the one of the session.
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "whole-run"
    if not shared.exists():
        out = tmp_path_factory.mktemp("whole") / "run"
        train(CONFIG, out)
        try:
            out.rename(shared)
        except OSError:  # another worker has been faster
            return out
    return shared
