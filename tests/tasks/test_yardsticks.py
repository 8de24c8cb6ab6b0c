"""Tasks of published benchmarks, compared with the benchmarks' own equations."""

import math
from typing import Any

import equinox as eqx
import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lagdyna  # noqa: F401  registers the environments
from lagdyna.mechanics import State
from lagdyna.scores import realaigym_trajectory
from lagdyna.tasks import YARDSTICKS, get_task, read_state, suite_name, suite_task

from .suite import difference, observe, reward, some_action, some_state, step

PI = math.pi

# Coordinates, velocities, action and accelerations. Those of RealAIGym are numbers of
# `DoublePendulumPlant.forward_dynamics` (commit 1e8544e67f), whose first angle counts from
# hanging; those of PILCO of the equations in `dynamics_cp.m` and `dynamics_cdp.m` (v0.9), whose
# angles have the other sign. PILCO's two poles have absolute angles.
MOTION = {
    "realaigym-acrobot": (
        [0.4 - PI, -1.1],
        [2.0, -3.0],
        0.75,
        [-132.856894840119, 281.329436860177],
    ),
    "realaigym-pendubot": (
        [-2.0 - PI, 0.7],
        [-5.0, 8.0],
        0.5,
        [105.357819469363, -136.439869641463],
    ),
    "pilco-cartpole": (
        [0.3, PI - 0.6],
        [-1.2, -2.5],
        0.7,
        [12.4600701131123, 47.4855861520876],
    ),
    "pilco-cart2pole": (
        [0.3, -0.6, 1.5],
        [-1.2, -2.5, 4.0],
        0.7,
        [19.0772226586628, -38.6613867414442, 38.6613867414442 - 15.6651218308939],
    ),
}


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", YARDSTICKS)
def test_motion_is_that_of_the_benchmark(name: str) -> None:
    q, qd, action, expected = MOTION[name]
    given = jax.device_put((np.asarray(q), np.asarray(qd), np.asarray([action])))
    found = eqx.filter_jit(suite_task(name).system.forward_dynamics)(*given)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.usefixtures("x64")
def test_realaigyms_double_pendulum_conserves_energy_and_pilcos_cart_does_not() -> None:
    @eqx.filter_jit
    def energies(name: str, state: State) -> tuple[jax.Array, jax.Array]:
        task, still = suite_task(name), jnp.zeros(1)
        steps = round(0.5 / task.dt)
        last, _ = jax.lax.scan(lambda s, _: (task.advance(s, still), None), state, length=steps)
        return task.system.energy(*state), task.system.energy(*last)

    start = jax.device_put(State(np.asarray([1.0, 0.3]), np.ones(2)))
    before, after = map(float, energies("realaigym-acrobot", start))
    assert after == pytest.approx(before, abs=1e-7)
    before, after = energies("pilco-cartpole", State(jnp.asarray([0.0, 1.0]), start.qd))
    assert before - 0.2 < after < before - 0.01


@pytest.mark.usefixtures("x64")
def test_a_step_is_one_of_the_leaderboards_simulator() -> None:
    task = suite_task("realaigym-acrobot")
    state = task.reset(jax.random.key(0))
    assert state.q.tolist() == [PI, 0.0]
    for _ in range(5):
        state, _ = step(task, state, jnp.asarray([0.5]))
    after = realaigym_trajectory("acrobot", lambda t, q, qd: jnp.asarray([0.0, 3.0]), steps=6)
    last = np.asarray(after.q)[-1], np.asarray(after.qd)[-1]
    np.testing.assert_allclose(np.asarray(state.q) - last[0], [2 * PI, 0.0], rtol=0, atol=1e-14)
    np.testing.assert_allclose(state.qd, last[1], rtol=1e-13)


@pytest.mark.parametrize(
    ("name", "q", "qd", "action", "expected"),
    [
        ("realaigym-acrobot", [0, 0], [0, 0], 0, 1.0),
        ("realaigym-acrobot", [0, 0], [0, 0], -1, 0.8),
        ("realaigym-pendubot", [PI, 0], [0, 0], 0.5, -0.05),
        # The inner link is horizontal, the outer upright and turning at 20 rad/s.
        ("realaigym-pendubot", [PI / 2, -PI / 2], [0, 20], 0, 0.8 * 0.1),
        ("pilco-cartpole", [0, 0], [9, 9], 1, 1.0),
        ("pilco-cartpole", [0.25, 0], [0, 0], 0, math.exp(-0.5)),
        ("pilco-cartpole", [0, PI], [0, 0], 0, math.exp(-8)),
        ("pilco-cart2pole", [0.3, -PI / 6, PI / 6], [0, 0, 0], 0, 0.98716),
    ],
)
def test_reward_is_that_computed_by_hand(
    name: str, q: list, qd: list, action: float, expected: float
) -> None:
    numbers = State(np.asarray(q, float), np.asarray(qd, float)), np.asarray([action], float)
    found = reward(suite_task(name), *jax.device_put(numbers))
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_trials_of_pilco_start_with_its_spread() -> None:
    for name, spread in (
        ("pilco-cartpole", [0.1, 0.1]),
        ("pilco-cart2pole", [0.1, 0.01, 0.01]),
    ):
        task = suite_task(name)
        starts = eqx.filter_jit(lambda t, key: jax.vmap(t.reset)(jax.random.split(key, 400)))
        q, qd = map(np.asarray, starts(task, jax.random.key(1)))
        np.testing.assert_allclose(np.std(q % (2 * PI) - PI, 0)[1:2], spread[1:2], rtol=0.15)
        np.testing.assert_allclose(np.std(q[:, 0]), spread[0], rtol=0.15)
        np.testing.assert_allclose(np.std(qd, 0), 0.1, rtol=0.15)
        assert abs(np.corrcoef(q[:, 0], qd[:, 0])[0, 1]) < 0.2


@pytest.mark.parametrize("name", YARDSTICKS)
def test_a_learner_reads_the_state_from_an_observation(name: str) -> None:
    task, spec = suite_task(name), get_task(name)
    state = some_state(task, 5)
    q, qd = read_state(spec, np.asarray(observe(task, state)))
    off = difference(task, jax.device_put(q), state.q)
    np.testing.assert_allclose(off, 0, atol=1e-5)
    np.testing.assert_allclose(qd, state.qd, atol=1e-5)
    actuation: Any = task.system.actuation
    assert spec.force == actuation.matrix
    assert suite_name(spec) == name
    assert get_task(spec.env_id) is spec


@pytest.mark.parametrize("name", YARDSTICKS)
def test_episodes_have_the_length_of_the_benchmark(name: str) -> None:
    seconds = 10.0 if name.startswith("realaigym") else 5.0
    task = suite_task(name)
    registered = gym.spec(YARDSTICKS[name].env_id).max_episode_steps
    assert registered == task.horizon == round(seconds / task.dt)
    following, reward = eqx.filter_eval_shape(
        lambda t, s, a: t.step(s, a), task, some_state(task, 2), some_action(task, 3)
    )
    assert reward.shape == ()
    assert following.q.shape == (task.n,)
