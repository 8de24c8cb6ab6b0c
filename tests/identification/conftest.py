from pathlib import Path

import pytest

from lagdyna.data import TrajectorySet, write
from lagdyna.parts import AdamConfig, DeLaNConfig
from lagdyna.runs import fit_model

from .small import SYSTEM, pendulum, small


@pytest.fixture(scope="session")
def recordings() -> TrajectorySet:
    return pendulum()


@pytest.fixture(scope="session")
def file(recordings: TrajectorySet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "pendulum.npz"
    write(path, recordings)
    return path


@pytest.fixture(scope="session")
def learned(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a DeLaN with enough updates to learn the pendulum."""
    out = tmp_path_factory.mktemp("fit") / "run"
    model = DeLaNConfig(hidden=(32, 32))
    fit_model(small(file, model=model, learner=AdamConfig(updates=3000, batch=32)), out)
    return out


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("user") / "mine.py"
    path.write_text(SYSTEM)
    return str(path)
