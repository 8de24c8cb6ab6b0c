import builtins
import sys
import types

import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec, WrapperSpec
from gymnasium.spaces import Box

from lagdyna.data import (
    DataError,
    ObservationLayout,
    minari_environment,
    read,
    read_minari,
)
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
    with pytest.raises(ValueError, match=r"`relative_to` was .2,.; None or the number"):
        ObservationLayout(q=(0,), dt=0.1, relative_to=(2,))
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


class _DataSet:
    """Stands for a data set of Minari: its environment, its actions and its episodes."""

    def __init__(self, spec, episodes=(), action_space=None):
        self.env_spec, self.action_space, self._episodes = spec, action_space, episodes

    def iterate_episodes(self):
        return iter(self._episodes)


@pytest.fixture
def stored(monkeypatch):
    """Make Minari load a given data set, whether it is installed or not."""

    def store(data_set):
        module = types.ModuleType("minari")
        module.load_dataset = lambda name: data_set  # pyright: ignore[reportAttributeAccessIssue]
        monkeypatch.setitem(sys.modules, "minari", module)

    return store


def test_the_environment_of_a_data_set(stored):
    for spec, environment in (
        (EnvSpec("Pendulum-v1"), "Pendulum-v1"),
        (EnvSpec("Pendulum-v1", additional_wrappers=(WrapperSpec("a", "b", None),)), None),
        (None, None),
    ):
        stored(_DataSet(spec))
        assert minari_environment("minari:a/b-v0") == environment


def test_actions_are_scaled_by_the_action_space_and_angles_are_relative(stored):
    rng = np.random.default_rng(0)
    observations, actions = rng.normal(size=(9, 4)), rng.uniform(-2, 2, (8, 2))
    episode = types.SimpleNamespace(id=0, observations=observations, actions=actions)
    space = Box(np.array([-2.0, -1.0]), np.array([1.0, 4.0]), dtype=np.float64)
    stored(_DataSet(None, [episode], space))
    layout = ObservationLayout(q=(0, 1), qd=(2, 3), dt=0.1, relative_to=(None, 0))
    (found,) = read_minari("a/b-v0", layout)
    np.testing.assert_allclose(found.action[:-1], actions / [2, 4])
    np.testing.assert_allclose(found.q[:, 0], observations[:, 0])
    relative = observations[:, 1] - observations[:, 0]
    np.testing.assert_allclose(np.exp(1j * found.q[:, 1]), np.exp(1j * relative))
    (scaled,) = read_minari("a/b-v0", ObservationLayout(q=(0,), dt=0.1, action_scale=8.0))
    np.testing.assert_allclose(scaled.action[:-1], actions / 8)
