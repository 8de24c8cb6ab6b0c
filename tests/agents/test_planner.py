"""Gradient-based trajectory optimisation."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float, Scalar

from lagdyna.agents import Plans, ShootingPlanner
from lagdyna.mechanics import Coordinates, Limits, State
from lagdyna.models import BoundTermination, GivenReward
from lagdyna.simulate import AbstractTransition, WorldModel
from lagdyna.tasks import SUITE, suite_task

NO_LIMITS = Limits((1e6,), (1e6,))


class Mass(AbstractTransition):
    """A mass on a line, `qdd = a`, by explicit Euler steps of 0.1 s."""

    coordinates: Coordinates = Coordinates((False,))

    def step(self, state: State, action: Float[Array, " m"]) -> State:
        return State(state.q + 0.1 * state.qd, state.qd + 0.1 * action)


def here(at: float = 0.0, number: int = 1) -> State:
    return State(jnp.full((number, 1), at), jnp.zeros((number, 1)))


def distance(state: State, action: Array, next_state: State) -> Scalar:
    return next_state.q[0]


FAR = WorldModel(Mass(), GivenReward(distance))
PLANNER = ShootingPlanner(1, NO_LIMITS, actions=10)  # shared, since each one compiles anew


@eqx.filter_jit
def improve(
    planner: ShootingPlanner, plans: Plans, world: WorldModel, starts: State, key: Array
) -> Plans:
    return planner.improve(plans, world, starts, key=key)


def improved(planner: ShootingPlanner, rounds: int, world: WorldModel, starts: State) -> Plans:
    plans = planner.init(jax.random.key(0), starts)
    for i in range(rounds):
        plans = improve(planner, plans, world, starts, key=jax.random.key(i))
    return plans


def test_a_reward_of_distance_gives_full_force() -> None:
    plans = improved(PLANNER, 12, FAR, here(number=3))
    best = np.asarray(plans.actions)[-4:, :, 0]
    # The last two actions do not change any position.
    assert best[:, :-2].min() > 0.8
    # At full force: the sum of positions for velocities 0, 0.1, ..., 0.9.
    most = 0.1 * np.cumsum(0.1 * np.arange(10)).sum()
    assert 0.9 * most < float(plans.returns[-4:].min()) <= float(plans.returns.max()) <= most


def test_plans_reach_a_target_and_stop() -> None:
    planner = ShootingPlanner(1, NO_LIMITS, actions=40)

    def there(state: State, action: Array, next_state: State) -> Scalar:
        return -((next_state.q[0] - 1) ** 2) - 0.1 * next_state.qd[0] ** 2

    world = WorldModel(Mass(), GivenReward(there))
    plans = improved(planner, 20, world, here())
    states = planner.states(plans, world)
    assert states.q.shape == states.qd.shape == (4 * 41, 1)
    ends = np.asarray(states.q).reshape(4, 41)[:, -1]
    np.testing.assert_allclose(ends, 1, atol=0.1)
    speeds = np.asarray(states.qd).reshape(4, 41)[:, -2]
    np.testing.assert_allclose(speeds, 0, atol=0.2)


def test_states_are_those_along_the_plans() -> None:
    starts = State(jnp.arange(3.0)[:, None], jnp.arange(3.0)[:, None])
    plans = improved(PLANNER, 3, FAR, starts)
    states = PLANNER.states(plans, FAR)
    found = np.asarray(states.q).reshape(4, 11), np.asarray(states.qd).reshape(4, 11)
    for i in range(4):
        q, qd = plans.starts.q[i - 4, 0], plans.starts.qd[i - 4, 0]
        total = 0.0
        for t in range(11):
            np.testing.assert_allclose([found[0][i, t], found[1][i, t]], [q, qd], atol=1e-5)
            if t < 10:
                q, qd = q + 0.1 * qd, qd + 0.1 * plans.actions[i - 4, t, 0]
                total += q
        np.testing.assert_allclose(plans.returns[i - 4], total, rtol=1e-5)


def test_the_best_plan_is_kept() -> None:
    planner = ShootingPlanner(1, NO_LIMITS, actions=8, steps=3, levels=(4, 2, 2))
    starts = here()
    plans = planner.init(jax.random.key(0), starts)
    before = -np.inf
    for i in range(8):
        plans = improve(planner, plans, FAR, starts, key=jax.random.key(i))
        elite = float(plans.returns[-2:].min())
        assert elite >= before - 1e-6
        before = elite
    assert np.isfinite(before)


def test_levels_take_the_best_of_the_level_before() -> None:
    # With a learning rate of 0, a level has what it took.
    planner = ShootingPlanner(1, NO_LIMITS, actions=3, rate=0.0, levels=(4, 2, 2))
    starts = here()
    plans = planner.init(jax.random.key(0), starts)
    plans = improve(planner, plans, FAR, starts, key=jax.random.key(1))
    after = improve(planner, plans, FAR, starts, key=jax.random.key(2))
    returns = np.asarray(plans.returns)
    np.testing.assert_allclose(after.returns[4:6], np.sort(returns[:4])[::-1][:2], rtol=1e-6)
    np.testing.assert_allclose(after.returns[6:], np.sort(returns[4:])[::-1][:2], rtol=1e-6)


def test_plans_stay_within_the_limits() -> None:
    limits = Limits((0.3,), (1e6,))
    planner = ShootingPlanner(1, limits, actions=10)
    plans = improved(planner, 10, FAR, here())
    states = planner.states(plans, FAR)
    assert float(jnp.abs(states.q).max()) <= 0.3
    # A plan may go close to the limit.
    assert float(states.q.max()) > 0.2
    assert np.isfinite(plans.returns[-4:]).all()
    # No plan that begins outside is valid.
    outside = improved(planner, 2, FAR, here(0.5))
    assert np.all(np.asarray(outside.returns) == -np.inf)


def test_plans_avoid_states_that_are_not_finite() -> None:
    class Broken(Mass):
        def step(self, state: State, action: Float[Array, " m"]) -> State:
            q, qd = super().step(state, action)
            return State(jnp.where(q > 0.2, jnp.nan, q), qd)

    broken = WorldModel(Broken(), GivenReward(distance))
    planner = ShootingPlanner(1, NO_LIMITS, actions=10)
    plans = improved(planner, 8, broken, here())
    assert np.isfinite(plans.raw).all()
    states = planner.states(plans, broken)
    assert np.isfinite(states.q).all()
    assert np.isfinite(plans.returns[-4:]).all()


def test_rewards_after_termination_do_not_count() -> None:
    # Standing still costs 1 in each step, so it is better to end the episode.
    planner = ShootingPlanner(1, NO_LIMITS, actions=20)

    def cost(state: State, action: Array, next_state: State) -> Scalar:
        return next_state.q[0] - 1.0

    world = WorldModel(Mass(), GivenReward(cost), BoundTermination((0.2,)))
    plans = improved(planner, 10, world, here())
    states = planner.states(plans, world)
    last = np.asarray(states.q).reshape(4, 21)[:, -1]
    assert np.all(last > 0.2)  # ended
    assert np.all(last < 0.35)  # and stays there
    assert np.all(np.asarray(plans.returns[-4:]) > -10)


def test_plans_swing_a_pendulum_up() -> None:
    task, spec = suite_task("pendulum"), SUITE["pendulum"].spec

    class Exact(AbstractTransition):
        coordinates: Coordinates = spec.joint_coordinates

        def step(self, state: State, action: Float[Array, " m"]) -> State:
            return task.advance(task.advance(state, action), action)

    planner = ShootingPlanner(
        1, Limits((10.0,), (50.0,)), levels=(8, 4, 2), actions=180, hold=12.0
    )
    start = task.reset(jax.random.key(0))
    starts = jax.tree.map(lambda x: jnp.asarray(x[None], float), start)

    def reward(state: State, action: Array, next_state: State) -> Scalar:
        return task.reward(next_state)

    world = WorldModel(Exact(), GivenReward(reward))
    plans = improved(planner, 10, world, starts)
    states = planner.states(plans, world)
    up = np.cos(np.asarray(states.q).reshape(2, 181)[0])
    assert up[0] < -0.99
    assert up[-20:].mean() > 0.8


def test_plans_are_reproducible_and_keep_the_precision() -> None:
    a, b = (improved(PLANNER, 3, FAR, here(number=3)) for _ in range(2))
    np.testing.assert_array_equal(a.raw, b.raw)
    planner = ShootingPlanner(1, NO_LIMITS, actions=4, levels=(2, 1))
    with jax.enable_x64(True):
        double = improved(planner, 3, FAR, here())
        assert double.raw.dtype == double.returns.dtype == np.float64


@pytest.mark.parametrize("levels", [(), (4,), (4, 8), (4, 0), (2, 2, 5)])
def test_levels_that_cannot_be_filled_are_refused(levels: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="`levels` were"):
        ShootingPlanner(1, NO_LIMITS, levels=levels)


@pytest.mark.parametrize(
    ("name", "value"),
    [("actions", 0), ("steps", 0), ("draws", 0), ("hold", 0.5), ("rate", -0.1)],
)
def test_impossible_options_are_refused(name: str, value: float) -> None:
    options: dict[str, Any] = {name: value}
    with pytest.raises(ValueError, match=f"`{name}`.* {value}.*are accepted"):
        ShootingPlanner(1, NO_LIMITS, **options)


def test_every_other_new_plan_begins_like_one_of_the_best() -> None:
    planner = ShootingPlanner(1, NO_LIMITS, actions=30, rate=0.0, levels=(40, 4, 2), draws=1)
    starts = here()
    plans = planner.init(jax.random.key(0), starts)
    for i in range(3):
        plans = improve(planner, plans, FAR, starts, key=jax.random.key(i))
    after = improve(planner, plans, FAR, starts, key=jax.random.key(9))
    old, new = np.asarray(plans.raw)[-2:], np.asarray(after.raw)[:40]
    same = (new[:, None] == old[None])[..., 0]
    lengths = np.cumprod(same, axis=-1).sum(axis=-1).max(axis=-1)
    # Of the twenty, one in thirty on average shares nothing; all others share nothing.
    assert 15 <= (lengths > 0).sum() <= 20
    assert len(np.unique(lengths)) > 8
    assert np.all(lengths < 30)
