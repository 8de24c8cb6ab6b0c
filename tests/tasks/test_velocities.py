"""Velocities that are estimated from positions."""

import dataclasses
import math
import tomllib
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from lagdyna.config import config_from_table
from lagdyna.options import config_to_toml
from lagdyna.tasks import (
    CoordinateSpec,
    EstimatedVelocities,
    GymnasiumBatch,
    GymnasiumTask,
    TaskSpec,
    get_task,
    known_equations,
    read_state,
    suite_name,
)

DT = 0.1
numbers = st.floats(-3, 3)


class Recorded(gym.Env):
    """Environment that observes the rows of an array, again after each reset."""

    action_space = spaces.Box(-1, 1, (1,), np.float64)

    def __init__(self, rows: Any):
        self.rows = np.asarray(rows, float)
        shape = self.rows[0].shape
        self.observation_space = spaces.Box(-np.inf, np.inf, shape, np.float64)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.time = 0
        return self.rows[0], {}

    def step(self, action: Any) -> Any:
        self.time += 1
        return self.rows[self.time], 0.0, False, False, {}


def spec_of(*coordinates: CoordinateSpec, dt: float = DT) -> TaskSpec:
    force = ((1.0,),) * len(coordinates)
    return TaskSpec(env_id="Recorded", coordinates=coordinates, dt=dt, force=force)


def linear(index: int = 0, **options: Any) -> CoordinateSpec:
    limits: dict[str, Any] = {"position_range": 1.0, "velocity_range": 10.0, **options}
    return CoordinateSpec(kind="linear", position=index, **limits)


def angle(**options: Any) -> CoordinateSpec:
    return CoordinateSpec(kind="angle", **{"velocity_range": 20.0, **options})


def estimates(spec: TaskSpec, rows: Any, env: EstimatedVelocities | None = None) -> np.ndarray:
    """The velocities that are read from the observations of one episode."""
    env = EstimatedVelocities(Recorded(rows), spec) if env is None else env
    observations = [env.reset()[0], *(env.step(None)[0] for _ in rows[1:])]
    assert all(each in env.observation_space for each in observations)
    return np.stack([read_state(spec, each).qd for each in observations])


@given(numbers, numbers, numbers)
def test_constant_acceleration_is_estimated_exactly(q: float, v: float, a: float) -> None:
    t = DT * np.arange(6)
    rows = (q + v * t + 0.5 * a * t**2)[:, None] @ np.ones((1, 3))
    true = v + a * t
    spec = spec_of(linear(0), linear(1, velocity_order=1), linear(2, start_velocity=v))
    second, first, started = estimates(spec, rows).T
    np.testing.assert_allclose(second[2:], true[2:], atol=1e-12)
    np.testing.assert_allclose(first[1:], true[1:] - 0.5 * a * DT, atol=1e-12)
    np.testing.assert_allclose(started, true, atol=1e-12)
    # One position tells no velocity, and two tell the mean between them.
    np.testing.assert_allclose(second[:2], [0.0, v + 0.5 * a * DT], atol=1e-12)


@given(st.floats(-math.pi, math.pi), st.floats(-15, 15), st.booleans())
def test_angles_are_followed_across_their_jump(q: float, v: float, embedded: bool) -> None:
    turned = q + v * DT * np.arange(8)
    wrapped = np.arctan2(np.sin(turned), np.cos(turned))
    if embedded:
        spec, rows = spec_of(angle(cos=0, sin=1)), np.stack([np.cos(turned), np.sin(turned)], 1)
    else:
        spec, rows = spec_of(angle(position=0)), wrapped[:, None]
    np.testing.assert_allclose(estimates(spec, rows)[1:, 0], v, atol=1e-9)


def test_a_relative_angle_has_the_velocity_of_its_joint() -> None:
    t = DT * np.arange(5)[:, None]
    spec = spec_of(angle(position=0), angle(position=1, relative_to=0))
    np.testing.assert_allclose(estimates(spec, t * [2.0, 5.0])[1:], [[2.0, 3.0]] * 4)


def test_estimates_forget_the_episode_before_and_keep_to_the_limit() -> None:
    spec = spec_of(linear(velocity_limit=3.0))
    rows = np.array([0.0, 0.1, 0.3, 2.0])[:, None]
    env = EstimatedVelocities(Recorded(rows), spec)
    found = estimates(spec, rows, env)
    np.testing.assert_allclose(found[:, 0], [0.0, 1.0, 2.5, 3.0])
    np.testing.assert_array_equal(estimates(spec, rows, env), found)


def test_velocities_that_are_observed_are_read_where_they_are() -> None:
    t = DT * np.arange(4)[:, None]
    spec = spec_of(linear(0), linear(1, velocity=2), linear(3))
    spec = dataclasses.replace(spec, context=(4,))
    found = estimates(spec, t * [1.0, 1.0, 7.0, 2.0, 0.0])
    np.testing.assert_allclose(found[-1], [1.0, 2.1, 2.0, 0.0])


SPEC = get_task("Pendulum-v1")
UNOBSERVED = dataclasses.replace(SPEC.coordinates[0], velocity=None)
POSITIONS = dataclasses.replace(SPEC, coordinates=(UNOBSERVED,))


def test_each_kind_of_environment_estimates_the_same() -> None:
    """Order 1 is exact: this environment moves by its new velocity times `dt`."""
    first = dataclasses.replace(UNOBSERVED, velocity_order=1)
    spec = dataclasses.replace(POSITIONS, coordinates=(first,), repeat=2)
    true = GymnasiumTask(dataclasses.replace(SPEC, repeat=2))
    single, batch = GymnasiumTask(spec), GymnasiumBatch(spec, 2)
    assert true.reset(3).qd != 0
    assert single.reset(3).qd == 0
    batch.reset([4, 3])
    for _ in range(105):  # past the end of an episode, which the batch begins anew
        action = np.array([0.7])
        expected, outcome = true.step(action).state, single.step(action)
        states, _, ended = batch.step(np.stack([action, action]))
        np.testing.assert_allclose(outcome.state.qd, expected.qd, atol=2e-5)
        np.testing.assert_array_equal(states.qd[1], outcome.state.qd)
        if outcome.truncated:
            assert ended.all()
            break
    states, *_ = batch.step(np.stack([action, action]))  # resets, and steps once
    assert np.all(np.abs(states.qd) < 2)
    for env in (true, single, batch):
        env.close()


def test_a_description_without_velocity_is_no_task_of_the_suite() -> None:
    suite = get_task("pendulum")
    hidden = dataclasses.replace(suite.coordinates[0], velocity=None)
    assert suite_name(suite) == "pendulum"
    assert suite_name(dataclasses.replace(suite, coordinates=(hidden,))) is None
    assert known_equations(POSITIONS) is not None
    assert (POSITIONS.estimated, POSITIONS.starts_unknown) == (1, True)
    rest = dataclasses.replace(UNOBSERVED, start_velocity=0.0)
    assert not dataclasses.replace(POSITIONS, coordinates=(rest,)).starts_unknown
    assert not SPEC.starts_unknown


def test_a_description_without_velocity_is_kept_in_a_config() -> None:
    first = dataclasses.replace(UNOBSERVED, velocity_order=1, start_velocity=0.5)
    for task in (POSITIONS, dataclasses.replace(POSITIONS, coordinates=(first,))):
        config = config_from_table({"task": dataclasses.asdict(task)})
        assert config.task == task
        again = config_from_table(tomllib.loads(config_to_toml(config)))
        assert again.task == task


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"velocity": 2, "velocity_order": 1}, "`velocity_order` was given .* estimated"),
        ({"velocity": 2, "start_velocity": 0.0}, "`start_velocity` was given .* estimated"),
        ({"velocity_order": 3}, "`velocity_order` was 3; 1 or 2"),
        ({"start_velocity": math.inf}, "`start_velocity` was inf; a finite number"),
    ],
)
def test_contradictory_estimates_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        angle(cos=0, sin=1, **options)


def test_angles_that_turn_too_fast_are_refused() -> None:
    with pytest.raises(ValueError, match=r"turns by up to 4 rad in `dt`.*below pi"):
        spec_of(angle(position=0), dt=0.2)
    spec_of(angle(position=0, velocity=1), linear(), dt=0.2)


def test_entries_are_those_that_the_environment_observes() -> None:
    beyond = dataclasses.replace(UNOBSERVED, sin=3)
    with pytest.raises(ValueError, match=r"entry 3 of the observation.*entries 0 to 2"):
        GymnasiumTask(dataclasses.replace(POSITIONS, coordinates=(beyond,)))
