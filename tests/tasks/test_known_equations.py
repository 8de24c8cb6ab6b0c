"""Known equations of motion of tasks."""

from typing import Any

import equinox as eqx
import gymnasium as gym
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna.tasks import get_task, known_equations, suite_task


def test_the_equations_of_pendulum_v1_are_those_of_gymnasium() -> None:
    """Its velocity changes by `dt` times the acceleration, where nothing clips it."""
    system, task = known_equations(get_task("Pendulum-v1")), get_task("Pendulum-v1")
    assert system is not None
    env: Any = gym.make("Pendulum-v1").unwrapped
    rng = np.random.default_rng(0)
    for q, qd, action in rng.uniform(-1, 1, (20, 3)):
        env.reset(seed=0)
        env.state = np.asarray([3 * q, 5 * qd])
        env.step(np.asarray([2 * action], np.float32))
        measured = (env.state[1] - 5 * qd) / task.dt
        given = (jnp.asarray([x], jnp.float32) for x in (3 * q, 5 * qd, action))
        assert float(acceleration(system, *given)[0]) == pytest.approx(measured, abs=1e-4)


acceleration = eqx.filter_jit(lambda system, *x: system.forward_dynamics(*x))


def test_equations_are_known_for_the_suite_and_not_for_other_tasks() -> None:
    for name in ("acrobot", "cart3pole"):
        found, known = known_equations(get_task(name)), suite_task(name).system
        assert found is not None
        n = jnp.full(known.coordinates.n, 0.3)
        m = jnp.full(suite_task(name).action_size, 0.5)
        np.testing.assert_array_equal(
            acceleration(found, n, n, m), acceleration(known, n, n, m)
        )
    assert known_equations(get_task("InvertedPendulum-v5")) is None
