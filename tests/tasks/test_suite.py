import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

from lagdyna.mechanics import State
from lagdyna.tasks import SUITE, TASKS, SuiteTask, get_task, read_state, suite_task

from .suite import difference, observe, reward, some_action, some_state, step

steps = eqx.filter_jit(lambda task, states, actions: jax.vmap(task.step)(states, actions))


@eqx.filter_jit
def accelerations(task: SuiteTask, q: Any, qd: Any, action: Any) -> Any:
    return jax.vmap(task.system.forward_dynamics)(q, qd, action)


@functools.cache
def equations_of_motion(
    links: int, cart: bool, point_mass: bool, gravity: float
) -> Callable[..., Any]:
    """`M` and `M qdd - tau` without acceleration, derived by sympy from where masses are.

    In Cartesian coordinates: no lever, no closed form of `M`, nothing of the library.
    """
    n = links + cart
    q, qd = sp.symbols(f"q:{n}"), sp.symbols(f"v:{n}")
    mass, length = (1.0, 1.0) if point_mass else (0.1, 1.0)
    # The suite's point mass has inertia m l^2 = 1 about the pivot and none about itself.
    centre, inertia = (1.0, 0.0) if point_mass else (0.5, mass * length**2 / 12)

    def rate(f: Any) -> Any:
        return sum(sp.diff(f, a) * v for a, v in zip(q, qd, strict=True))

    x, y = (q[0] if cart else sp.Integer(0)), sp.Integer(0)
    lagrangian = (0.5 * qd[0] ** 2) if cart else sp.Integer(0)
    theta = sp.Integer(0)
    for joint in q[int(cart) :]:
        theta = theta + joint
        at = (x + centre * length * sp.sin(theta), y + centre * length * sp.cos(theta))
        speed = rate(at[0]) ** 2 + rate(at[1]) ** 2
        lagrangian += mass * speed / 2 + inertia * rate(theta) ** 2 / 2
        lagrangian -= mass * gravity * at[1]
        x, y = x + length * sp.sin(theta), y + length * sp.cos(theta)
    momentum = [sp.diff(lagrangian, v) for v in qd]
    matrix = [[sp.diff(p, v) for v in qd] for p in momentum]
    bias = [rate(p) - sp.diff(lagrangian, a) for p, a in zip(momentum, q, strict=True)]
    return sp.lambdify([q, qd], [matrix, bias], "numpy")


FORCES = {
    "pendulum": lambda a: [2 * a[0]],
    "reacher": lambda a: [0.1 * a[0], 0.1 * a[1]],
    "cartpole": lambda a: [10 * a[0], 0],
    "acrobot": lambda a: [0, 1.75 * a[0]],
    "cart2pole": lambda a: [10 * a[0], 0, 0],
    "acro3bot": lambda a: [0.5 * a[0], 0, 2 * a[1]],
    "cart3pole": lambda a: [10 * a[0], 0, 0, a[1]],
}
DT = dict.fromkeys(FORCES, 0.01) | {"pendulum": 0.02, "reacher": 0.02}


@pytest.mark.parametrize("name", SUITE)
@pytest.mark.usefixtures("x64")
def test_motion_is_that_derived_from_cartesian_coordinates(name: str) -> None:
    task, entry = suite_task(name), SUITE[name]
    gravity = 0.0 if name == "reacher" else 9.8
    equations = equations_of_motion(entry.links, entry.cart, name == "pendulum", gravity)
    state, action = some_state(task, 0, 5), some_action(task, 1, 5)
    qdd = np.asarray(accelerations(task, state.q, state.qd, action))
    q, qd, action = map(np.asarray, (state.q, state.qd, action))
    for i in range(5):
        matrix, bias = equations(q[i], qd[i])
        tau = np.asarray(FORCES[name](action[i]), float)
        expected = np.linalg.solve(np.asarray(matrix), tau - np.asarray(bias))
        np.testing.assert_allclose(qdd[i], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.usefixtures("x64")
def test_the_cart_pole_is_the_textbooks() -> None:
    task = suite_task("cartpole")
    (_, theta), (_, omega), force = (0.3, 2.5), (0.4, -1.7), 6.0
    m, total, half, g = 0.1, 1.1, 0.5, 9.8
    # Barto, Sutton & Anderson (1983), without friction.
    pull = (force + m * half * omega**2 * math.sin(theta)) / total
    alpha = (g * math.sin(theta) - math.cos(theta) * pull) / (
        half * (4 / 3 - m * math.cos(theta) ** 2 / total)
    )
    x = pull - m * half * alpha * math.cos(theta) / total
    # A batch of five reuses a compiled program.
    rows = np.asarray([[0.3, theta]] * 5), np.asarray([[0.4, omega]] * 5), np.full((5, 1), 0.6)
    qdd = accelerations(task, *jax.device_put(rows))
    np.testing.assert_allclose(qdd, [[x, alpha]] * 5, rtol=1e-12)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("name", "q", "qd", "expected"),
    [
        ("pendulum", [0], [0], 1.0),
        ("pendulum", [math.pi], [0], 0.0),
        ("pendulum", [math.pi / 2], [0], 0.5),
        ("pendulum", [0], [20], 0.55),
        ("pendulum", [0], [-10], (1 + 0.1**0.25) / 2),
        # Both links are horizontal; the second does not turn.
        ("acrobot", [math.pi / 2, 0], [20, -20], 0.5 * 0.55),
        ("acrobot", [math.pi / 2, -math.pi / 2], [0, 0], 0.75),
        # The speeds of the links are 10, 20 and -20.
        ("acro3bot", [0, 0, 0], [10, 10, -40], 0.55),
        ("cartpole", [0, 0], [50, 0], 1.0),
        ("cartpole", [2, 0], [0, 0], 0.55),
        ("cartpole", [-2, 0], [0, 0], 0.55),
        ("cartpole", [1, 0], [0, 0], (1 + 0.1**0.25) / 2),
        ("cartpole", [2.001, 0], [0, 0], 0.1),
        ("cartpole", [-30, math.pi / 2], [0, 20], 0.1 * 0.5 * 0.55),
        ("cart3pole", [2.5, 0, 0, math.pi / 2], [0, 0, 0, 0], 0.1 * 2.5 / 3),
    ],
)
def test_reward_is_that_computed_by_hand(name: str, q: list, qd: list, expected: float) -> None:
    state = jax.device_put(State(np.asarray(q, float), np.asarray(qd, float)))
    assert reward(suite_task(name), state) == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.usefixtures("x64")
def test_energy_error_has_the_order_of_runge_kutta() -> None:
    task = suite_task("cartpole")

    @eqx.filter_jit
    def drift(task: SuiteTask, steps: int) -> jax.Array:
        state = State(task.reset(jax.random.key(0)).q.at[-1].add(2.0), jnp.zeros(task.n))
        still = jnp.zeros(task.action_size)
        last, _ = jax.lax.scan(lambda s, _: (task.advance(s, still), None), state, length=steps)
        return jnp.abs(task.system.energy(*last) - task.system.energy(*state))

    coarse = drift(dataclasses.replace(task, dt=0.02), 50)
    fine = drift(dataclasses.replace(task, dt=0.01), 100)
    assert fine < 1e-6
    # The energy error of a fourth-order step is of fifth order in its length, or smaller.
    assert coarse / fine > 2**3.5


@pytest.mark.parametrize("name", SUITE)
def test_a_task_matches_its_entry(name: str, tolerance: float) -> None:
    del tolerance  # the fixture runs the test in both precisions
    task, entry = suite_task(name), SUITE[name]
    assert (task.dt, task.horizon, task.action_size) == (DT[name], 1000, len(entry.force[0]))
    arguments = task, some_state(task, 2), some_action(task, 3)
    following, paid = eqx.filter_eval_shape(lambda t, s, a: t.step(s, a), *arguments)
    for part in following:
        assert (part.shape, part.dtype) == ((task.n,), jnp.result_type(float))
    assert (paid.shape, paid.dtype) == ((), jnp.result_type(float))


@pytest.mark.usefixtures("x64")
def test_a_step_integrates_the_motion_and_rewards_the_next_state() -> None:
    task = suite_task("acrobot")
    state = jax.device_put(State(np.asarray([3.1, 3.1]), np.asarray([9.0, 9.0])))
    action = jax.device_put(np.ones(1))
    following, paid = step(task, state, action)

    def rate(t: float, y: np.ndarray) -> np.ndarray:
        q, qd = y[:2], y[2:]
        rows = jax.device_put((q[None], qd[None], np.ones((1, 1))))
        return np.concatenate([qd, np.asarray(accelerations(task, *rows))[0]])

    start = np.concatenate(state)
    true = solve_ivp(rate, (0, 0.01), start, method="DOP853", rtol=1e-12, atol=1e-12).y[:, -1]
    # Both angles went past half a turn.
    assert np.all(true[:2] > math.pi)
    np.testing.assert_allclose(following.q, true[:2] - 2 * math.pi, atol=1e-8)
    np.testing.assert_allclose(following.qd, true[2:], atol=1e-6)
    np.testing.assert_allclose(paid, reward(task, following), rtol=1e-12)


@pytest.mark.usefixtures("x64")
def test_a_step_that_is_not_finite_keeps_the_state_with_reward_zero() -> None:
    """Intermediate values of so fast a motion overflow in every precision."""
    task = suite_task("acro3bot")
    q, qd = np.asarray([0.1, -0.2, 0.3]), np.asarray([1e30, -1e30, 1e30])
    state = jax.device_put(State(q, qd))
    following, paid = step(task, state, jax.device_put(np.asarray([1.0, -1.0])))
    assert following.q.tolist() == state.q.tolist()
    assert following.qd.tolist() == state.qd.tolist()
    assert float(paid) == 0
    assert float(reward(task, state)) > 0
    advance = eqx.filter_jit(lambda task, state, action: task.advance(state, action))
    assert advance(task, state, jax.device_put(np.zeros(2))).q.tolist() == state.q.tolist()


def test_wrong_shapes_are_refused() -> None:
    task = suite_task("acrobot")
    state = some_state(task, 0)
    with pytest.raises(ValueError, match=r"`action` has shape \(2,\) .*\(1,\) and \(2,\) are"):
        task.step(state, jnp.ones(2))
    longer = State(jnp.ones(3), jnp.ones(3))
    with pytest.raises(ValueError, match=r"arrays of shapes \[\(3,\)\]"):
        task.step(longer, jnp.ones(1))


@pytest.mark.usefixtures("x64")
def test_actions_are_clipped() -> None:
    task = suite_task("acrobot")
    state = some_state(task, 4)
    for beyond, edge in ((3.0, 1.0), (-7.0, -1.0)):
        out, _ = step(task, state, jnp.asarray([beyond]))
        np.testing.assert_array_equal(out, step(task, state, jnp.asarray([edge]))[0])


@pytest.mark.parametrize("name", SUITE)
def test_episodes_start_hanging_at_rest(name: str) -> None:
    task = suite_task(name)
    hanging = np.zeros(task.n)
    hanging[int(SUITE[name].cart)] = math.pi

    @eqx.filter_jit
    def starts(task: SuiteTask, key: jax.Array) -> Any:
        q, qd = jax.vmap(task.reset)(jax.random.split(key, 500))
        off = jax.vmap(task.system.coordinates.difference, (0, None))
        return off(q, jnp.asarray(hanging)), qd

    off, qd = starts(task, jax.random.key(0))
    off, qd = np.asarray(off), np.asarray(qd)
    assert not qd.any()
    np.testing.assert_allclose(np.mean(off, 0), 0, atol=0.002)
    np.testing.assert_allclose(np.std(off, 0), 0.01, rtol=0.15)


@pytest.mark.parametrize("name", SUITE)
def test_a_learner_reads_the_state_from_an_observation(name: str) -> None:
    task = suite_task(name)
    state = some_state(task, 5)
    observation = np.asarray(observe(task, state))
    assert observation.shape == (task.observation_size,)
    q, qd = read_state(get_task(name), observation)
    off = difference(task, jax.device_put(q), state.q)
    np.testing.assert_allclose(off, 0, atol=1e-5)
    np.testing.assert_allclose(qd, state.qd, atol=1e-5)
    assert get_task(SUITE[name].env_id) is TASKS[name]
    assert TASKS[name].force == task.system.actuation.matrix


def test_observations_have_the_documented_order() -> None:
    task = suite_task("cart2pole")
    state = jax.device_put(State(np.asarray([0.5, 1.0, 2.0]), np.asarray([3.0, 4.0, 5.0])))
    c, s = math.cos, math.sin
    expected = [0.5, c(1), s(1), c(2), s(2), 3, 4, 5]
    np.testing.assert_allclose(observe(task, state), expected, rtol=1e-6)


@pytest.mark.usefixtures("x64")
def test_a_vmapped_step_matches_single_steps() -> None:
    task = suite_task("acrobot")
    states, actions = some_state(task, 6, 4), some_action(task, 7, 4)
    together, rewards = steps(task, states, actions)
    together, rewards = jax.tree.map(np.asarray, (together, rewards))
    for i in range(4):
        one, action = jax.tree.map(lambda x, i=i: np.asarray(x)[i], (states, actions))
        alone, paid = step(task, *jax.device_put((one, action)))
        np.testing.assert_allclose([together.q[i], together.qd[i]], alone, rtol=1e-12)
        np.testing.assert_allclose(rewards[i], paid, rtol=1e-12)
