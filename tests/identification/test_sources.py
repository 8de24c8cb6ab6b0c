"""Recordings of a fit from several files, of other programs, and from Minari."""

import sys
import types
from pathlib import Path

import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box

from lagdyna import FitConfig, UserError
from lagdyna.config import DataConfig
from lagdyna.data import TrajectorySet, write
from lagdyna.identification import prepare
from lagdyna.identification._data import digest_of, with_layout
from lagdyna.mechanics import Coordinates


def test_files_are_joined_in_the_order_of_their_names(
    recordings: TrajectorySet, tmp_path: Path
) -> None:
    for i in range(6):
        write(tmp_path / f"run_{i + 5}.csv", TrajectorySet([recordings[i]]))
    write(tmp_path / "all.npz", recordings)
    whole = prepare(FitConfig(data=tmp_path / "all.npz"))
    names = [str(tmp_path / f"run_{i}.csv") for i in (10, 9, 8, 7, 6, 5)]
    for data in (names, f"{tmp_path}/*.csv"):
        parts = prepare(FitConfig(data=data))
        assert len(parts.raw.training) == len(whole.raw.training)
        assert digest_of(parts) == digest_of(whole)


def test_what_was_done_while_reading_is_in_the_notes(tmp_path: Path) -> None:
    t = np.tile(np.arange(20) / 20, 2)
    rows = zip(t, np.sin(t), np.cos(t), strict=True)
    lines = [f"{a};{b};{c}".replace(".", ",") for a, b, c in rows]
    path = tmp_path / "log.csv"
    path.write_text("\n".join(["stamp;elbow;elbow_vel", "s;deg;deg/s", *lines]))
    columns = {"t": "stamp", "q0": "elbow", "qd0": "elbow_vel"}
    config = FitConfig(data=DataConfig(file=str(path), angles=("q0",), columns=columns))
    prepared = prepare(config)
    assert any("t falls back once, first at line 23" in note for note in prepared.notes)
    assert prepared.coordinates == Coordinates((True,))
    with pytest.raises(UserError, match=r"unknown column 'stamp'.*--data.columns.q0"):
        prepare(FitConfig(data=path))


@pytest.fixture
def data_set(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """A data set of Minari with episodes of Pendulum-v1."""
    rng = np.random.default_rng(0)
    episodes = []
    for i in range(5):
        angle, velocity = np.cumsum(rng.normal(size=(2, 9)), axis=1)
        observations = np.stack([np.cos(angle), np.sin(angle), velocity], axis=1)
        actions = rng.uniform(-2, 2, (8, 1))
        episodes.append(types.SimpleNamespace(id=i, observations=observations, actions=actions))
    found = types.SimpleNamespace(
        env_spec=EnvSpec("Pendulum-v1"),
        action_space=Box(-2.0, 2.0, (1,)),
        iterate_episodes=lambda: iter(episodes),
    )
    module = types.ModuleType("minari")
    module.load_dataset = lambda name: found  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "minari", module)
    return found


def test_a_data_set_of_a_known_environment_needs_no_layout(
    data_set: types.SimpleNamespace,
) -> None:
    config = FitConfig(data="minari:user/pend-v0")
    prepared = prepare(config)
    assert prepared.coordinates == Coordinates((True,))
    assert (prepared.control, prepared.dt) == ("action", pytest.approx(0.05))
    actions = [x.action[:-1] for x in prepared.raw.training if x.action is not None]
    assert np.abs(np.concatenate(actions)).max() <= 1
    # The stored config has the layout, so that a fit loads without its data.
    stored = with_layout(config.data)
    assert stored.angles == (0,)
    assert with_layout(stored) == stored
    data_set.env_spec = EnvSpec("Ant-v5")
    with pytest.raises(UserError, match=r"minari:user/pend-v0 is of 'Ant-v5'.*--data.layout"):
        prepare(config)
