"""Evaluation and recording of episodes in the real environment."""

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np
import pytest

from lagdyna import UserError
from lagdyna.mechanics import State
from lagdyna.tasks import GymnasiumTask, get_task
from lagdyna.training import evaluate_policy, record_rollout

from .. import environments as environments  # registers them

PENDULUM = get_task("Pendulum-v1")
COUNTDOWN = dataclasses.replace(PENDULUM, env_id="lagdyna-tests/Countdown-v0")
SHORT = dataclasses.replace(PENDULUM, env_id="lagdyna-tests/ShortPendulum-v0")


def brake(states: State) -> np.ndarray:
    """Some policy: against the motion."""
    return -0.3 * np.asarray(states.qd)


def test_a_return_is_that_of_its_own_episode() -> None:
    """Episodes of one to nine steps in one batch, a reward of 1 for each step."""
    seeds = list(range(12))
    lengths = []
    for seed in seeds:
        env = environments.Countdown()
        env.reset(seed=seed)
        lengths.append(env.rest)
    assert len(set(lengths)) > 4
    returns = evaluate_policy(COUNTDOWN, brake, seeds, 100)
    np.testing.assert_array_equal(returns, lengths)


def test_returns_equal_those_of_single_episodes() -> None:
    seeds = [5, 6]
    returns = evaluate_policy(SHORT, brake, seeds, 100)
    for seed, found in zip(seeds, returns, strict=True):
        env, total, ended = GymnasiumTask(SHORT), 0.0, False
        state = env.reset(seed)
        while not ended:
            outcome = env.step(brake(state))
            state, total, ended = outcome.state, total + outcome.reward, outcome.truncated
        assert found == pytest.approx(total, rel=1e-6)


def test_an_episode_may_have_the_largest_number_of_steps_and_no_more() -> None:
    assert evaluate_policy(SHORT, brake, [0], 20).shape == (1,)
    with pytest.raises(UserError, match=r"was 19, and 1 of 1 .*a larger number is accepted"):
        evaluate_policy(SHORT, brake, [0], 19)


def test_an_environment_that_breaks_its_description_is_named() -> None:
    task = dataclasses.replace(PENDULUM, env_id="lagdyna-tests/Undefined-v0")
    with pytest.raises(UserError, match="returned nan in entry 2 of an observation; only"):
        evaluate_policy(task, lambda states: np.zeros((2, 1)), [0, 1], 10)


def test_a_rollout_is_one_episode_with_its_images() -> None:
    frames: list[np.ndarray] = []
    rollout = record_rollout(SHORT, brake, 3, 100, lambda render: frames.append(render()))
    assert rollout.states.q.shape == rollout.states.qd.shape == (21, 1)
    assert rollout.actions.shape == (20, 1)
    assert len(frames) == 21
    assert all((a != b).any() for a, b in itertools.pairwise(frames))
    assert rollout.rewards.sum() == pytest.approx(evaluate_policy(SHORT, brake, [3], 100)[0])
    np.testing.assert_allclose(rollout.actions, brake(rollout.states)[:-1], rtol=1e-6)


def test_a_rollout_without_end_or_images_is_cut_short() -> None:
    still = dataclasses.replace(PENDULUM, env_id="lagdyna-tests/Still-v0")
    frames: list[np.ndarray] = []
    rollout = record_rollout(still, brake, 3, 7, lambda render: frames.append(render()))
    assert not frames
    assert rollout.states.q.shape == (8, 1)


def test_an_environment_that_cannot_render_here_gives_no_images() -> None:
    undrawable = dataclasses.replace(COUNTDOWN, env_id="lagdyna-tests/Undrawable-v0")
    shown: list[Callable[[], np.ndarray]] = []
    rollout = record_rollout(undrawable, brake, 3, 100, shown.append)
    assert shown == []
    assert np.all(rollout.rewards == 1)
