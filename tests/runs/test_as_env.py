"""The learned model of a run as a simulator and as an environment."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna import State
from lagdyna.runs import Run, load_run
from lagdyna.worlds import world_task

from .. import environments as environments  # registers them


@pytest.fixture(scope="module")
def run(whole: Path) -> Run:
    return load_run(whole)


def test_the_environment_steps_as_the_simulator(run: Run) -> None:
    env = run.as_env()
    observation, _ = env.reset(seed=0)
    q, qd = np.split(observation, 2)
    actions = np.asarray([[0.3], [-1.0], [0.8]], np.float32)
    states = run.simulator(q, qd, actions)
    assert states.q.shape == (4, 1)
    for i, action in enumerate(actions):
        observation, reward, terminated, truncated, _ = env.step(action)
        now, after = (State(*(x[k] for x in states)) for k in (i, i + 1))
        np.testing.assert_allclose(observation, np.concatenate(after), rtol=1e-5)
        expected = run.reward(now, jnp.asarray(action), after)
        assert reward == pytest.approx(float(expected), rel=1e-4)
        assert not terminated
        assert not truncated


def test_episodes_begin_where_those_of_the_run_began(run: Run) -> None:
    buffer = run.training.buffer
    first = np.asarray(buffer.first)
    starts = {float(q) for q in np.asarray(buffer.experience.state.q)[first, 0]}
    env = run.as_env()
    seen = {float(env.reset(seed=seed)[0][0]) for seed in range(20)}
    assert seen <= starts
    assert len(seen) == len(starts) > 1
    elsewhere = run.as_env(start=[0.5], spread=0.0)
    assert elsewhere.reset(seed=0)[0] == pytest.approx([0.5, 0.0])


def test_an_episode_takes_ten_seconds_or_as_long_as_given(run: Run, whole: Path) -> None:
    assert run.as_env().spec.max_episode_steps == 200  # pyright: ignore[reportOptionalMemberAccess]
    env = run.as_env(max_episode_steps=2)
    env.reset(seed=0)
    ends = [env.step(np.zeros(1, np.float32))[3] for _ in range(2)]
    assert ends == [False, True]
    task = world_task(whole)
    assert task.max_episode_steps == 200
    assert "start" not in (task.make or {})
