"""Tests of actions that are held for several environment steps."""

import dataclasses
import math
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from lagdyna.tasks import GymnasiumBatch, GymnasiumTask, TaskSpec, get_task, suite_name

from .. import environments as environments  # registers them

PENDULUM = get_task("Pendulum-v1")


def held(name: str, repeat: int) -> TaskSpec:
    return dataclasses.replace(PENDULUM, env_id=f"lagdyna-tests/{name}-v0", repeat=repeat)


@pytest.mark.parametrize("repeat", [1, 3])
def test_an_action_is_held_for_repeat_steps(repeat: int) -> None:
    task = GymnasiumTask(dataclasses.replace(PENDULUM, repeat=repeat))
    plain: Any = gym.make("Pendulum-v1")
    task.reset(7)
    plain.reset(seed=7)
    for action in (0.5, -1.0, 0.2):
        outcome = task.step(np.asarray([action]))
        rewards = [plain.step(np.asarray([2 * action], np.float32))[1] for _ in range(repeat)]
        assert outcome.reward == pytest.approx(sum(map(float, rewards)), rel=1e-5)
        angle, speed = plain.unwrapped.state
        assert np.cos(outcome.state.q[0]) == pytest.approx(np.cos(angle), abs=1e-5)
        assert outcome.state.qd[0] == pytest.approx(speed, abs=1e-5)
        assert outcome.steps == repeat


def test_the_end_of_an_episode_cuts_an_action_short() -> None:
    """Episodes of twenty steps with actions of eight, and episodes shorter than one action."""
    task = GymnasiumTask(held("ShortPendulum", 8))
    task.reset(0)
    outcomes = [task.step(np.zeros(1)) for _ in range(3)]
    assert [outcome.steps for outcome in outcomes] == [8, 8, 4]
    assert [outcome.truncated for outcome in outcomes] == [False, False, True]
    countdown = GymnasiumTask(held("Countdown", 10))
    for seed in range(4):
        length = _length(seed)
        countdown.reset(seed)
        outcome = countdown.step(np.zeros(1))
        assert outcome.terminated
        assert (outcome.steps, outcome.reward) == (length, length)


def _length(seed: int) -> int:
    env = environments.Countdown()
    env.reset(seed=seed)
    return env.rest


def test_most_limits_the_steps_of_an_action() -> None:
    task = GymnasiumTask(held("ShortPendulum", 8))
    task.reset(0)
    assert task.step(np.zeros(1), 3).steps == 3
    assert task.step(np.zeros(1), 9).steps == 8
    with pytest.raises(ValueError, match="`most` must be at least 1, got 0"):
        task.step(np.zeros(1), 0)


@pytest.mark.parametrize("name", ["ShortPendulum", "Countdown"])
def test_a_batch_holds_actions_like_single_environments(name: str) -> None:
    spec, seeds = held(name, 4), [3, 1, 4, 2]
    batch = GymnasiumBatch(spec, len(seeds))
    batch.reset(seeds)
    alone = [GymnasiumTask(spec) for _ in seeds]
    for task, seed in zip(alone, seeds, strict=True):
        task.reset(seed)
    running, actions = np.ones(len(seeds), bool), np.linspace(-1, 1, len(seeds))[:, None]
    while running.any():
        states, rewards, ended = batch.step(actions)
        for i in np.flatnonzero(running):
            outcome = alone[i].step(actions[i])
            np.testing.assert_array_equal(states.q[i], outcome.state.q)
            np.testing.assert_array_equal(states.qd[i], outcome.state.qd)
            assert rewards[i] == pytest.approx(outcome.reward, rel=1e-6)
            assert ended[i] == (outcome.terminated or outcome.truncated)
        running &= ~ended


def test_the_time_of_an_action_and_its_bounds() -> None:
    assert dataclasses.replace(PENDULUM, repeat=3).action_time == pytest.approx(0.15)
    for name in ("repeat", "substeps"):
        with pytest.raises(ValueError, match=f"`{name}` must be at least 1, got 0"):
            dataclasses.replace(PENDULUM, **{name: 0})
    for dt in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match=f"`dt` must be positive and finite, got {dt}"):
            dataclasses.replace(PENDULUM, dt=dt)
    with pytest.raises(ValueError, match=r"`context` was \(-1,\).*from 0 on"):
        dataclasses.replace(PENDULUM, context=(-1,))


def test_suite_name_recognises_a_description() -> None:
    acrobot = get_task("acrobot")
    assert suite_name(acrobot) == "acrobot"
    assert suite_name(dataclasses.replace(acrobot, repeat=7, target_return=3.0)) == "acrobot"
    assert suite_name(PENDULUM) is None
    # Another order of the coordinates is another system in the same environment.
    turned = dataclasses.replace(
        acrobot, coordinates=acrobot.coordinates[::-1], force=acrobot.force[::-1]
    )
    assert suite_name(turned) is None
    # So is a state with context, or a joint angle relative to another.
    assert suite_name(dataclasses.replace(acrobot, context=(0,))) is None
    first, second = acrobot.coordinates
    apart = dataclasses.replace(second, relative_to=0)
    assert suite_name(dataclasses.replace(acrobot, coordinates=(first, apart))) is None
