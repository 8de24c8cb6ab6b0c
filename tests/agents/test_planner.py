"""Plans by gradients through a model."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float, Scalar

from lagdyna.agents import Plans, ShootingPlanner
from lagdyna.mechanics import Coordinates, State
from lagdyna.models import BoundTermination, GivenReward
from lagdyna.simulate import AbstractTransition
from lagdyna.tasks import SUITE, suite_task

NO_LIMITS = ((1e6,), (1e6,))


class Mass(AbstractTransition):
    """A mass on a line, a tenth of a second on: `qdd = a`, by the explicit Euler method."""

    coordinates: Coordinates = Coordinates((False,))

    def step(self, state: State, action: Float[Array, " m"]) -> State:
        return State(state.q + 0.1 * state.qd, state.qd + 0.1 * action)


def here(at: float = 0.0, number: int = 1) -> State:
    return State(jnp.full((number, 1), at), jnp.zeros((number, 1)))


def far(state: State, action: Array, following: State) -> Scalar:
    return following.q[0]


def improved(
    planner: ShootingPlanner, rounds: int, reward: Any, starts: State, **options: Any
) -> Plans:
    plans = planner.init(jax.random.key(0), starts)
    transition = options.pop("transition", Mass())
    improve = jax.jit(
        lambda plans, key: planner.improve(
            plans, transition, GivenReward(reward), starts, key=key, **options
        )
    )
    for i in range(rounds):
        plans = improve(plans, jax.random.key(i))
    return plans


def test_who_is_paid_for_being_far_goes_at_full_force() -> None:
    planner = ShootingPlanner(1, NO_LIMITS, actions=10)
    plans = improved(planner, 12, far, here())
    best = np.asarray(plans.actions)[-4:, :, 0]
    # What is done last does not move it any more.
    assert best[:, :-2].min() > 0.8
    # At full force: velocities 0, 0.1, ..., 0.9, and what they sum to, summed.
    most = 0.1 * np.cumsum(0.1 * np.arange(10)).sum()
    assert 0.9 * most < float(plans.worth[-4:].min()) <= float(plans.worth.max()) <= most


def test_plans_come_to_a_place_and_stop_there() -> None:
    planner = ShootingPlanner(1, NO_LIMITS, actions=40)

    def there(state: State, action: Array, following: State) -> Scalar:
        return -((following.q[0] - 1) ** 2) - 0.1 * following.qd[0] ** 2

    plans = improved(planner, 20, there, here())
    states = planner.states(plans, Mass(), GivenReward(there))
    assert states.q.shape == states.qd.shape == (4 * 41, 1)
    ends = np.asarray(states.q).reshape(4, 41)[:, -1]
    np.testing.assert_allclose(ends, 1, atol=0.1)
    speeds = np.asarray(states.qd).reshape(4, 41)[:, -2]
    np.testing.assert_allclose(speeds, 0, atol=0.2)


def test_states_are_those_that_the_plans_lead_to() -> None:
    planner = ShootingPlanner(1, NO_LIMITS, actions=5)
    starts = State(jnp.arange(3.0)[:, None], jnp.arange(3.0)[:, None])
    plans = improved(planner, 3, far, starts)
    states = planner.states(plans, Mass(), GivenReward(far))
    found = np.asarray(states.q).reshape(4, 6), np.asarray(states.qd).reshape(4, 6)
    for i in range(4):
        q, qd = plans.starts.q[i - 4, 0], plans.starts.qd[i - 4, 0]
        paid = 0.0
        for t in range(6):
            np.testing.assert_allclose([found[0][i, t], found[1][i, t]], [q, qd], atol=1e-5)
            if t < 5:
                q, qd = q + 0.1 * qd, qd + 0.1 * plans.actions[i - 4, t, 0]
                paid += q
        np.testing.assert_allclose(plans.worth[i - 4], paid, rtol=1e-5)


def test_what_is_best_is_never_lost() -> None:
    planner = ShootingPlanner(1, NO_LIMITS, actions=8, steps=3, levels=(4, 2, 2))
    starts, reward = here(), GivenReward(far)
    plans = planner.init(jax.random.key(0), starts)
    before = -np.inf
    for i in range(8):
        plans = planner.improve(plans, Mass(), reward, starts, key=jax.random.key(i))
        elite = float(plans.worth[-2:].min())
        assert elite >= before - 1e-6
        before = elite
    assert np.isfinite(before)


def test_levels_take_the_best_of_the_one_before() -> None:
    # Without a step between, what a level has is what came to it.
    planner = ShootingPlanner(1, NO_LIMITS, actions=3, rate=0.0, levels=(4, 2, 2))
    starts, reward = here(), GivenReward(far)
    plans = planner.init(jax.random.key(0), starts)
    plans = planner.improve(plans, Mass(), reward, starts, key=jax.random.key(1))
    after = planner.improve(plans, Mass(), reward, starts, key=jax.random.key(2))
    worth = np.asarray(plans.worth)
    np.testing.assert_allclose(after.worth[4:6], np.sort(worth[:4])[::-1][:2], rtol=1e-6)
    np.testing.assert_allclose(after.worth[6:], np.sort(worth[4:])[::-1][:2], rtol=1e-6)


def test_plans_stay_within_the_limits() -> None:
    limits = ((0.3,), (1e6,))
    planner = ShootingPlanner(1, limits, actions=10)
    plans = improved(planner, 10, far, here())
    states = planner.states(plans, Mass(), GivenReward(far))
    assert float(jnp.abs(states.q).max()) <= 0.3
    # The way there is used, not given up.
    assert float(states.q.max()) > 0.2
    assert np.isfinite(plans.worth[-4:]).all()
    # From beyond there is no plan at all.
    outside = improved(planner, 2, far, here(0.5))
    assert np.all(np.asarray(outside.worth) == -np.inf)


def test_what_a_model_cannot_follow_is_no_plan() -> None:
    class Broken(Mass):
        def step(self, state: State, action: Float[Array, " m"]) -> State:
            q, qd = super().step(state, action)
            return State(jnp.where(q > 0.2, jnp.nan, q), qd)

    planner = ShootingPlanner(1, NO_LIMITS, actions=10)
    plans = improved(planner, 8, far, here(), transition=Broken())
    assert np.isfinite(plans.raw).all()
    states = planner.states(plans, Broken(), GivenReward(far))
    assert np.isfinite(states.q).all()
    assert np.isfinite(plans.worth[-4:]).all()


def test_nothing_is_paid_after_the_end() -> None:
    # Standing still costs 1 each time, so it is better to end: nothing is charged after that.
    planner = ShootingPlanner(1, NO_LIMITS, actions=20)

    def cost(state: State, action: Array, following: State) -> Scalar:
        return following.q[0] - 1.0

    ends = BoundTermination((0.2,))
    plans = improved(planner, 10, cost, here(), termination=ends)
    states = planner.states(plans, Mass(), GivenReward(cost), ends)
    last = np.asarray(states.q).reshape(4, 21)[:, -1]
    assert np.all(last > 0.2)  # over
    assert np.all(last < 0.35)  # where it waits
    assert np.all(np.asarray(plans.worth[-4:]) > -10)


def test_a_pendulum_is_planned_up() -> None:
    task, spec = suite_task("pendulum"), SUITE["pendulum"].spec

    class Exact(AbstractTransition):
        coordinates: Coordinates = spec.joint_coordinates

        def step(self, state: State, action: Float[Array, " m"]) -> State:
            return task.advance(task.advance(state, action), action)

    planner = ShootingPlanner(1, ((10.0,), (50.0,)), levels=(8, 4, 2), actions=180, hold=12.0)
    start = task.reset(jax.random.key(0))
    starts = jax.tree.map(lambda x: jnp.asarray(x[None], float), start)

    def reward(state: State, action: Array, following: State) -> Scalar:
        return task.reward(following)

    plans = improved(planner, 10, reward, starts, transition=Exact())
    states = planner.states(plans, Exact(), GivenReward(reward))
    up = np.cos(np.asarray(states.q).reshape(2, 181)[0])
    assert up[0] < -0.99
    assert up[-20:].mean() > 0.8


def test_plans_do_not_depend_on_others_in_precision_or_chance() -> None:
    planner = ShootingPlanner(1, NO_LIMITS, actions=4, levels=(2, 1))
    a, b = (improved(planner, 3, far, here()) for _ in range(2))
    np.testing.assert_array_equal(a.raw, b.raw)
    with jax.enable_x64(True):
        double = improved(planner, 3, far, here())
        assert double.raw.dtype == double.worth.dtype == np.float64


@pytest.mark.parametrize("levels", [(), (4,), (4, 8), (4, 0), (2, 2, 5)])
def test_levels_that_cannot_be_filled_are_refused(levels: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="`levels` were"):
        ShootingPlanner(1, NO_LIMITS, levels=levels)


@pytest.mark.parametrize(
    ("name", "value"),
    [("actions", 0), ("steps", 0), ("draws", 0), ("hold", 0.5), ("rate", -0.1)],
)
def test_a_search_that_could_not_begin_is_refused(name: str, value: float) -> None:
    options: dict[str, Any] = {name: value}
    with pytest.raises(ValueError, match=f"`{name}`.* {value}.*are accepted"):
        ShootingPlanner(1, NO_LIMITS, **options)


def test_every_other_new_plan_begins_as_one_of_the_best() -> None:
    planner = ShootingPlanner(1, NO_LIMITS, actions=30, rate=0.0, levels=(40, 4, 2), draws=1)
    starts, reward = here(), GivenReward(far)
    plans = planner.init(jax.random.key(0), starts)
    for i in range(3):
        plans = planner.improve(plans, Mass(), reward, starts, key=jax.random.key(i))
    after = planner.improve(plans, Mass(), reward, starts, key=jax.random.key(9))
    old, new = np.asarray(plans.raw)[-2:], np.asarray(after.raw)[:40]
    same = (new[:, None] == old[None])[..., 0]
    lengths = np.cumprod(same, axis=-1).sum(axis=-1).max(axis=-1)
    # Of the twenty, one in thirty on average shares nothing; all others share nothing.
    assert 15 <= (lengths > 0).sum() <= 20
    assert len(np.unique(lengths)) > 8
    assert np.all(lengths < 30)
