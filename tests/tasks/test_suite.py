import dataclasses
import functools
import math
import warnings
from collections.abc import Callable
from typing import Any

import equinox as eqx
import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from scipy.integrate import solve_ivp

from lagdyna.mechanics import Coordinates, State
from lagdyna.tasks import (
    SUITE,
    TASKS,
    SuiteEnv,
    SuiteTask,
    SuiteVectorEnv,
    get_task,
    read_state,
    suite_task,
)

step = eqx.filter_jit(lambda task, state, action: task.step(state, action))
steps = eqx.filter_jit(lambda task, states, actions: jax.vmap(task.step)(states, actions))


@eqx.filter_jit
def accelerations(task: SuiteTask, q: Any, qd: Any, action: Any) -> Any:
    return jax.vmap(task.system.forward_dynamics)(q, qd, action)


def some_state(task: SuiteTask, seed: int, *batch: int) -> State:
    rng = np.random.default_rng(seed)
    q, qd = rng.normal(size=(2, *batch, task.n))
    return State(jnp.asarray(q), jnp.asarray(2 * qd))


def some_action(task: SuiteTask, seed: int, *batch: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).uniform(-1, 1, (*batch, task.action_size)))


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
    # Of the point mass the suite gives inertia 1 about the pivot: m l^2, none of its own.
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
    qdd = accelerations(task, state.q, state.qd, action)
    for i in range(5):
        matrix, bias = equations(np.asarray(state.q[i]), np.asarray(state.qd[i]))
        tau = np.asarray(FORCES[name](np.asarray(action[i])), float)
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
    # Five at once, because a program for as many is there already.
    args = jnp.asarray([[0.3, theta]] * 5), jnp.asarray([[0.4, omega]] * 5)
    qdd = accelerations(task, *args, jnp.full((5, 1), 0.6))
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
        # Both links of it at a right angle to the vertical; the second does not turn.
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
    state = State(jnp.asarray(q, float), jnp.asarray(qd, float))
    assert suite_task(name).reward(state) == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", ["pendulum", "cartpole"])
def test_energy_is_kept_to_the_order_of_runge_kutta(name: str) -> None:
    task = suite_task(name)
    state = State(task.reset(jax.random.key(0)).q.at[-1].add(2.0), jnp.zeros(task.n))

    @eqx.filter_jit
    def drift(task: SuiteTask, state: State, steps: int) -> jax.Array:
        still = jnp.zeros(task.action_size)
        last, _ = jax.lax.scan(lambda s, _: (task.advance(s, still), None), state, length=steps)
        return jnp.abs(task.system.energy(*last) - task.system.energy(*state))

    coarse = drift(dataclasses.replace(task, dt=0.02), state, 50)
    fine = drift(dataclasses.replace(task, dt=0.01), state, 100)
    assert fine < 1e-6
    # The energy of a step of fourth order is off by its fifth power or, here and there, less.
    assert coarse / fine > 2**3.5


@pytest.mark.parametrize("name", SUITE)
def test_a_task_is_what_its_entry_says(name: str, tolerance: float) -> None:
    del tolerance  # in both precisions
    task, entry = suite_task(name), SUITE[name]
    assert (task.dt, task.horizon, task.action_size) == (DT[name], 1000, len(entry.force[0]))
    arguments = task, some_state(task, 2), some_action(task, 3)
    following, reward = eqx.filter_eval_shape(lambda t, s, a: t.step(s, a), *arguments)
    for part in following:
        assert (part.shape, part.dtype) == ((task.n,), jnp.result_type(float))
    assert (reward.shape, reward.dtype) == ((), jnp.result_type(float))


@pytest.mark.usefixtures("x64")
def test_a_step_follows_the_true_motion_and_pays_for_where_it_leads() -> None:
    task = suite_task("acrobot")
    state, action = State(jnp.asarray([3.1, 3.1]), jnp.asarray([9.0, 9.0])), jnp.ones(1)
    following, reward = step(task, state, action)

    def rate(t: float, y: np.ndarray) -> np.ndarray:
        q, qd = jnp.split(jnp.asarray(y), 2)
        return np.concatenate([qd, accelerations(task, q[None], qd[None], action[None])[0]])

    start = np.concatenate(state)
    true = solve_ivp(rate, (0, 0.01), start, method="DOP853", rtol=1e-12, atol=1e-12).y[:, -1]
    # Both angles went past half a turn.
    assert np.all(true[:2] > math.pi)
    np.testing.assert_allclose(following.q, true[:2] - 2 * math.pi, atol=1e-8)
    np.testing.assert_allclose(following.qd, true[2:], atol=1e-6)
    np.testing.assert_allclose(reward, task.reward(following), rtol=1e-12)


@pytest.mark.usefixtures("x64")
def test_actions_are_clipped() -> None:
    task = suite_task("acro3bot")
    state = some_state(task, 4)
    out, _ = step(task, state, jnp.asarray([3.0, -7.0]))
    edge, _ = step(task, state, jnp.asarray([1.0, -1.0]))
    np.testing.assert_array_equal(out, edge)


@pytest.mark.parametrize("name", SUITE)
def test_starts_hang_at_rest(name: str) -> None:
    task = suite_task(name)
    keys = jax.random.split(jax.random.key(0), 500)
    q, qd = jax.vmap(task.reset)(keys)
    hanging = np.zeros(task.n)
    hanging[int(SUITE[name].cart)] = math.pi
    off = jax.vmap(task.system.coordinates.difference, (0, None))(q, jnp.asarray(hanging))
    assert not qd.any()
    np.testing.assert_allclose(np.mean(off, 0), 0, atol=0.002)
    np.testing.assert_allclose(np.std(off, 0), 0.01, rtol=0.15)


@pytest.mark.parametrize("name", SUITE)
def test_a_learner_reads_the_state_from_an_observation(name: str) -> None:
    task = suite_task(name)
    state = some_state(task, 5)
    observation = np.asarray(task.observe(state))
    assert observation.shape == (task.observation_size,)
    q, qd = read_state(get_task(name), observation)
    off = task.system.coordinates.difference(jnp.asarray(q), state.q)
    np.testing.assert_allclose(off, 0, atol=1e-5)
    np.testing.assert_allclose(qd, state.qd, atol=1e-5)
    assert get_task(SUITE[name].env_id) is TASKS[name]
    assert TASKS[name].force == task.system.actuation.matrix


def test_observations_have_the_documented_order() -> None:
    task = suite_task("cart2pole")
    state = State(jnp.asarray([0.5, 1.0, 2.0]), jnp.asarray([3.0, 4.0, 5.0]))
    c, s = math.cos, math.sin
    expected = [0.5, c(1), s(1), c(2), s(2), 3, 4, 5]
    np.testing.assert_allclose(task.observe(state), expected, rtol=1e-6)


@pytest.mark.usefixtures("x64")
def test_a_batch_is_stepped_like_its_members() -> None:
    task = suite_task("acrobot")
    states, actions = some_state(task, 6, 4), some_action(task, 7, 4)
    together, rewards = steps(task, states, actions)
    for i in range(4):
        alone, reward = step(task, State(states.q[i], states.qd[i]), actions[i])
        np.testing.assert_allclose([together.q[i], together.qd[i]], alone, rtol=1e-12)
        np.testing.assert_allclose(rewards[i], reward, rtol=1e-12)


def with_masses(name: str, masses: jax.Array) -> SuiteTask:
    """A task whose every parameter is batched, and whose links have masses of their own."""

    def one(mass: jax.Array) -> SuiteTask:
        task = suite_task(name)
        body = task.system.lagrangian
        return eqx.tree_at(lambda t: t.system.lagrangian.mass, task, mass * body.mass)

    return eqx.filter_vmap(one)(masses)


@pytest.mark.usefixtures("x64")
def test_copies_with_parameters_of_their_own_move_by_them() -> None:
    factors = jnp.asarray([1.0, 2.0, 5.0])
    task = with_masses("cartpole", factors)
    state, action = some_state(suite_task("cartpole"), 8), jnp.ones(1)
    env = SuiteVectorEnv(task, 3, batched=True)
    env.reset(options={"state": [np.tile(part, (3, 1)) for part in state]})
    env.step(np.ones((3, 1)))
    for i, factor in enumerate(factors):
        mine = eqx.tree_at(
            lambda t: t.system.lagrangian.mass, suite_task("cartpole"), 0.1 * factor[None]
        )
        alone, _ = step(mine, state, action)
        np.testing.assert_allclose(env.state.qd[i], alone.qd, rtol=1e-12)
    assert np.ptp(env.state.qd[:, 0]) > 1e-3
    with pytest.raises(ValueError, match=r"shapes .*; with `batched`.*`num_envs`, 4"):
        SuiteVectorEnv(task, 4, batched=True)


@pytest.mark.parametrize("name", SUITE)
def test_gymnasium_has_nothing_to_complain_about(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gym.make(SUITE[name].env_id)
        check_env(env.unwrapped)
        assert env.spec is not None
        assert env.spec.max_episode_steps == env.unwrapped.task.horizon == 1000
        env.close()


def test_environments_do_as_the_task_in_float64() -> None:
    env: Any = gym.make("lagdyna/Acrobot-v0").unwrapped
    observation, _ = env.reset(seed=3)
    assert observation.dtype == np.float32
    with jax.enable_x64(True):
        task = suite_task("acrobot")
        state = State(*map(jnp.asarray, env.state))
        for seed in range(5):
            action = some_action(task, seed)
            observation, reward, *_ = env.step(np.asarray(action))
            state, expected = step(task, state, action)
            np.testing.assert_allclose(env.state, state, rtol=1e-13)
            np.testing.assert_allclose(observation, task.observe(state), rtol=1e-6)
            assert reward == pytest.approx(float(expected), rel=1e-13)
    assert env.state.q.dtype == np.float64


def test_float32_is_close_to_float64() -> None:
    envs = [SuiteEnv("acrobot", precision=p) for p in ("float32", "float64")]
    start = ([3.0, 0.2], [0.0, 0.0])
    for env in envs:
        env.reset(options={"state": start})
        for _ in range(20):
            env.step([0.5])
    assert envs[0].state.q.dtype == np.float32
    np.testing.assert_allclose(envs[0].state.q, envs[1].state.q, atol=1e-4)


def test_copies_go_the_way_of_single_environments_through_autoreset() -> None:
    horizon, copies = 3, 4
    # Not all at once: each copy's first episode is also compared where it starts anew.
    env = gym.make_vec("lagdyna/CartPole-v0", copies, max_episode_steps=horizon)
    singles = [
        gym.make("lagdyna/CartPole-v0", max_episode_steps=horizon) for _ in range(copies)
    ]
    sync = gym.vector.SyncVectorEnv([lambda e=e: e for e in singles])
    assert isinstance(env, SuiteVectorEnv)
    assert env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert sync.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert env.observation_space == sync.observation_space
    assert env.action_space == sync.action_space
    ours, theirs = env.reset(seed=11), sync.reset(seed=11)
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-6)
    assert np.ptp(ours[0][:, 0]) > 0
    rng = np.random.default_rng(0)
    ended = 0
    for _ in range(10):
        actions = rng.uniform(-1, 1, (copies, 1)).astype(np.float32)
        ours, theirs = env.step(actions), sync.step(actions)
        for mine, other in zip(ours[:4], theirs[:4], strict=True):
            assert mine.dtype == other.dtype
            np.testing.assert_allclose(mine, other, atol=1e-6)
        ended += int(ours[3].all())
    assert ended == 2
    ours, theirs = env.reset(), sync.reset()
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-6)


def test_a_copy_of_a_vector_environment_is_not_shared_with_its_owner() -> None:
    env = SuiteVectorEnv("pendulum", 2)
    first, _ = env.reset(seed=0)
    first[:] = 0
    kept = env.state
    kept.q[:] = 0
    assert env.state.q.all()


def test_thousands_of_copies_compile_once(compilations: Callable[[], int]) -> None:
    env = gym.make_vec("lagdyna/Reacher-v0", 4096, precision="float32", max_episode_steps=3)
    env.reset(seed=0)
    actions = np.ones((4096, 2), np.float32)
    env.step(actions)
    before = compilations()
    for _ in range(6):
        _, reward, *_ = env.step(actions)
    assert compilations() == before
    assert reward.shape == (4096,)


def test_pictures_are_drawn_without_a_screen() -> None:
    for name in ("pendulum", "cart3pole"):
        env = gym.make(SUITE[name].env_id, render_mode="rgb_array")
        n = get_task(name).n
        pictures = []
        for angle in (0.0, 1.0):
            env.reset(options={"state": (np.full(n, angle), np.zeros(n))})
            picture: Any = env.render()
            assert picture.shape == (480, 480, 3)
            assert picture.dtype == np.uint8
            pictures.append(picture)
        assert (pictures[0] != pictures[1]).mean() > 0.01
    far = SuiteEnv("cartpole", render_mode="rgb_array")
    far.reset(options={"state": ([100.0, 0.0], [0.0, 0.0])})
    assert len(np.unique(far.render().reshape(-1, 3), axis=0)) > 10  # it is followed
    many = SuiteVectorEnv("pendulum", 2, render_mode="rgb_array")
    many.reset(seed=0)
    drawn = many.render()
    assert drawn is not None
    assert len(drawn) == 2


@pytest.mark.parametrize(
    ("action", "told"),
    [
        ([math.nan], r"nan at index \(0,\).*not finite.*shape \(1,\)"),
        ([math.inf], "inf at index"),
        ([0.0, 0.0], r"`action` has shape \(2,\); finite numbers of shape \(1,\)"),
        (0.0, r"shape \(\)"),
        ("left", "'left'"),
        (None, r"shape \(\)"),
    ],
)
def test_a_bad_action_is_refused(action: Any, told: str) -> None:
    env = SuiteEnv("acrobot")
    env.reset(seed=0)
    with pytest.raises(ValueError, match=told):
        env.step(action)
    copies = SuiteVectorEnv("acrobot", 2)
    copies.reset(seed=0)
    with pytest.raises(ValueError, match="`action`"):
        copies.step(action)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"state": ([math.nan, 0], [0, 0])}, "not finite"),
        ({"state": ([0, 0], [0, math.inf])}, "not finite"),
        ({"state": ([0], [0, 0])}, r"shapes \(1,\) and \(2,\).*shape \(2,\)"),
        ({"state": 3}, "was 3"),
        ({"state": ([0, 0],)}, "a pair"),
        ({"low": 1}, "`options` has 'low'; only 'state'"),
    ],
)
def test_a_bad_start_is_refused(options: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        SuiteEnv("acrobot").reset(options=options)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="'acrobt'.*nearest: acrobot.*all: pendulum"):
        suite_task("acrobt")
    with pytest.raises(ValueError, match="`precision` was 'half'"):
        SuiteEnv("acrobot", precision="half")
    with pytest.raises(ValueError, match="`render_mode` was 'human'"):
        SuiteEnv("acrobot", render_mode="human")
    with pytest.raises(ValueError, match="`num_envs` must be at least 1, got 0"):
        SuiteVectorEnv("acrobot", 0)
    with pytest.raises(ValueError, match="`max_episode_steps`"):
        SuiteVectorEnv("acrobot", 1, max_episode_steps=0)
    with pytest.raises(ValueError, match="`seed` has 1 entries for 2 copies"):
        SuiteVectorEnv("acrobot", 2).reset(seed=[1])
    with pytest.raises(gym.error.ResetNeeded):
        SuiteEnv("acrobot").step([0.0])
    task = suite_task("acrobot")
    with pytest.raises(ValueError, match="`dt` must be"):
        dataclasses.replace(task, dt=math.nan)
    with pytest.raises(ValueError, match="`horizon`"):
        dataclasses.replace(task, horizon=0)
    with pytest.raises(ValueError, match="`spread`"):
        dataclasses.replace(task, spread=-1.0)
    with pytest.raises(ValueError, match="`action_size`"):
        dataclasses.replace(task, action_size=0)
    system = dataclasses.replace(task.system, coordinates=Coordinates((True, False)))
    with pytest.raises(ValueError, match="one linear coordinate or none"):
        dataclasses.replace(task, system=system)
