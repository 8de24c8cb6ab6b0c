"""Environments that keep to older or looser conventions, and those that fail."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from lagdyna.tasks import EnvironmentFault, GymnasiumBatch, GymnasiumTask, get_task

from . import swing
from .swing import Swing, registered, spec_of

ADAPTED = [
    swing.Float64,
    swing.ListObservation,
    swing.DictObservation,
    swing.TupleObservation,
    swing.OldStep,
    swing.OldReset,
    swing.SeedMethod,
    swing.ArrayReward,
]
ACTIONS = np.linspace(-1, 1, 6)[:, None]

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:gymnasium")


def motion(kind: Any) -> list[np.ndarray]:
    """States and rewards of one environment and of a batch of two, under fixed actions."""
    with registered(kind) as env_id:
        task, batch = (make(spec_of(env_id=env_id)) for make in (GymnasiumTask, two))
        first = task.reset(3)
        outcomes = [task.step(action) for action in ACTIONS]
        start = batch.reset([3, 4])
        steps = [batch.step(np.stack([action, -action])) for action in ACTIONS]
        task.close()
        batch.close()
    return [
        np.stack([first.q, *(each.state.q for each in outcomes)]),
        np.stack([first.qd, *(each.state.qd for each in outcomes)]),
        np.stack([each.reward for each in outcomes]),
        np.stack([start.q, *(state.q for state, _, _ in steps)]),
        np.stack([rewards for _, rewards, _ in steps]),
    ]


def two(spec: Any) -> GymnasiumBatch:
    return GymnasiumBatch(spec, 2)


@pytest.fixture(scope="module")
def expected() -> list[np.ndarray]:
    return motion(Swing)


@pytest.mark.parametrize("kind", ADAPTED)
def test_other_conventions_give_the_same_motion(kind: Any, expected: list[np.ndarray]) -> None:
    for found, wanted in zip(motion(kind), expected, strict=True):
        np.testing.assert_array_equal(found.astype(np.float32), wanted.astype(np.float32))


@pytest.mark.parametrize(("info", "cut"), [({}, False), ({"TimeLimit.truncated": True}, True)])
def test_done_of_four_values_terminates_or_truncates(info: dict, cut: bool) -> None:
    class Ends(Swing):
        def step(self, action: Any) -> Any:
            return (*super().step(action)[:2], True, info)

    with registered(Ends) as env_id:
        task = GymnasiumTask(spec_of(env_id=env_id))
        task.reset(0)
        outcome = task.step(np.zeros(1))
    assert (outcome.terminated, outcome.truncated) == (not cut, cut)


def test_a_time_limit_can_be_given() -> None:
    with registered(Swing, limit=None) as env_id:
        task = GymnasiumTask(spec_of(env_id=env_id, max_episode_steps=3))
        task.reset(0)
        assert [task.step(np.zeros(1)).truncated for _ in range(3)] == [False, False, True]
    with pytest.raises(ValueError, match="`max_episode_steps` must be at least 1, got 0"):
        spec_of(max_episode_steps=0)


class RaisesInStep(Swing):
    def step(self, action: Any) -> Any:
        raise RuntimeError("serial port /dev/ttyACM0:\n device disconnected")


class RaisesInReset(Swing):
    def reset(self, **options: Any) -> Any:
        raise TimeoutError("no home position")


class ThreeValues(Swing):
    def step(self, action: Any) -> Any:
        return super().step(action)[:3]


class NotATuple(Swing):
    def step(self, action: Any) -> Any:
        return super().step(action)[0]


class TwoRewards(Swing):
    def step(self, action: Any) -> Any:
        observation, _, *rest = super().step(action)
        return observation, np.zeros(2), *rest


class NoReward(Swing):
    def step(self, action: Any) -> Any:
        observation, _, *rest = super().step(action)
        return observation, None, *rest


FAULTS = [
    (RaisesInStep, "whose `step` raised RuntimeError: serial port /dev/ttyACM0: device disc"),
    (RaisesInReset, "whose `reset` raised TimeoutError: no home position"),
    (ThreeValues, r"returned 3 values; \(observation, reward, terminated, truncated, info\)"),
    (NotATuple, "returned <class 'numpy.ndarray'>"),
    (TwoRewards, r"returned the reward \[0. 0.\]; one number is accepted"),
    (NoReward, "returned the reward None; one number is accepted"),
]


@pytest.mark.parametrize(("kind", "said"), FAULTS)
@pytest.mark.parametrize("make", [GymnasiumTask, two])
def test_errors_of_the_environment_are_one_sentence(make: Any, kind: Any, said: str) -> None:
    with registered(kind) as env_id:
        task = make(spec_of(env_id=env_id))
        with pytest.raises(EnvironmentFault, match=said) as error:
            task.reset([0, 1]) if make is two else task.reset(0)
            task.step(np.zeros((2, 1)) if make is two else np.zeros(1))
        task.close()
    assert "\n" not in str(error.value)


def test_the_place_of_a_fault_within_a_held_action_is_known() -> None:
    class Third(Swing):
        taken = 0

        def step(self, action: Any) -> Any:
            self.taken += 1
            if self.taken == 3:
                raise RuntimeError("overheated")
            return super().step(action)

    with registered(Third) as env_id:
        task = GymnasiumTask(spec_of(env_id=env_id, repeat=4))
        task.reset(0)
        with pytest.raises(EnvironmentFault) as error:
            task.step(np.zeros(1))
    assert error.value.steps == 2
    assert str(error.value.during("environment step 3")).endswith(
        "RuntimeError: overheated (environment step 3)"
    )


def test_an_error_while_closing_is_a_warning() -> None:
    class Stuck(Swing):
        def close(self) -> None:
            raise OSError("port is gone")

    with registered(Stuck) as env_id:
        for task in (GymnasiumTask(spec_of(env_id=env_id)), two(spec_of(env_id=env_id))):
            with pytest.warns(UserWarning, match="could not be closed: OSError: port is gone"):
                task.close()


def test_an_environment_that_cannot_be_made_is_one_sentence() -> None:
    class Broken(Swing):
        def __init__(self) -> None:
            raise FileNotFoundError("robot.xml")

    class Nothing:
        pass

    for kind, said in ((Broken, "FileNotFoundError: robot.xml"), (Nothing, "TypeError: ")):
        with registered(kind) as env_id:
            with pytest.raises(ValueError, match=f"which cannot be made: {said}") as error:
                GymnasiumTask(spec_of(env_id=env_id))
            assert "\n" not in str(error.value)
            with pytest.raises(ValueError, match="without a description in lagdyna"):
                get_task(env_id)


def test_observations_that_cannot_be_flattened_are_refused() -> None:
    class Graph(Swing):
        def __init__(self) -> None:
            super().__init__()
            node = spaces.Box(-1, 1, (2,), np.float32)
            self.observation_space = spaces.Dict(graph=spaces.Graph(node, None))

    with registered(Graph) as env_id, pytest.raises(ValueError, match="`env_id` was"):
        GymnasiumTask(spec_of(env_id=env_id))


def test_the_order_of_flattened_observations_is_that_of_the_space() -> None:
    with registered(swing.DictObservation) as env_id:
        task = GymnasiumTask(spec_of(env_id=env_id))
        state = task.reset(3)
        raw = gym.make(env_id).reset(seed=3)[0]
    assert state.qd[0] == raw["velocity"][0]
    assert state.q[0] == pytest.approx(np.arctan2(*raw["angle"][::-1]))
