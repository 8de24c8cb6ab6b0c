import builtins

import numpy as np
import pytest

from lagdyna.data import DataError, ObservationLayout, read, read_minari
from lagdyna.mechanics import Coordinates

PENDULUM = ObservationLayout(q=((0, 1),), qd=(2,), dt=0.05, action_scale=2.0)


def test_an_invalid_layout_is_refused():
    with pytest.raises(ValueError, match="one index per coordinate"):
        ObservationLayout(q=(), dt=0.1)
    with pytest.raises(ValueError, match="one index per coordinate"):
        ObservationLayout(q=(0,), qd=(1, 2), dt=0.1)
    with pytest.raises(
        ValueError, match="`q` was .-1,. and `qd` was None; indices are counted from 0"
    ):
        ObservationLayout(q=(-1,), dt=0.1)
    with pytest.raises(ValueError, match="`dt` must be a positive"):
        ObservationLayout(q=(0,), dt=0.0)


def test_missing_minari_raises_one_sentence(monkeypatch):
    real = builtins.__import__

    def without_minari(name, *args, **kwargs):
        if name == "minari":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_minari)
    with pytest.raises(DataError, match=r"minari:a/b-v0: .*pip install 'lagdyna\[minari\]'"):
        read_minari("a/b-v0", PENDULUM)


@pytest.fixture
def pendulum_data_set(tmp_path, monkeypatch):
    minari = pytest.importorskip("minari")
    gymnasium = pytest.importorskip("gymnasium")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    env = minari.DataCollector(gymnasium.make("Pendulum-v1", max_episode_steps=20))
    observations = []
    for seed in range(3):
        observation, _ = env.reset(seed=seed)
        observations.append([observation])
        truncated = False
        while not truncated:
            observation, _, _, truncated, _ = env.step(env.action_space.sample())
            observations[-1].append(observation)
    env.create_dataset("pendulum/test-v0")
    return np.array(observations)


@pytest.mark.filterwarnings("ignore:`[a-z_]+` is set to None:UserWarning")
def test_episodes_become_trajectories(pendulum_data_set):
    angle = Coordinates((True,))
    trajectories = read("minari:pendulum/test-v0", angle, layout=PENDULUM)
    assert len(trajectories) == 3
    for trajectory, observation in zip(trajectories, pendulum_data_set, strict=True):
        assert list(trajectory.arrays) == ["t", "q", "qd", "action"]
        assert trajectory.rows == 21
        np.testing.assert_allclose(np.cos(trajectory.q[:, 0]), observation[:, 0], atol=1e-6)
        np.testing.assert_allclose(trajectory.qd[:, 0], observation[:, 2])
        assert np.abs(trajectory.action[:-1]).max() <= 1
        assert np.isnan(trajectory.action[-1, 0])


@pytest.mark.filterwarnings("ignore:`[a-z_]+` is set to None:UserWarning")
def test_a_layout_that_does_not_match_raises_one_sentence(pendulum_data_set):
    name = "minari:pendulum/test-v0"
    with pytest.raises(DataError, match="have 3 entries, but `layout` uses index 3"):
        read_minari(name, ObservationLayout(q=(3,), dt=0.05))
    with pytest.raises(DataError, match="no entry 'state' in the observation"):
        read_minari(name, ObservationLayout(q=(0,), dt=0.05, key="state"))
    with pytest.raises(DataError, match="minari:none-v0: cannot be read"):
        read_minari("none-v0", PENDULUM)
