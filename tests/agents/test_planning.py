"""The agent that plans, its policy and its cost."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna import UserError
from lagdyna.agents import PlanLibrary, PlanningAgent, PlanPolicy, WorldCost
from lagdyna.config import Config
from lagdyna.control import Quadratic
from lagdyna.data import Experience, ReplayBuffer
from lagdyna.mechanics import State
from lagdyna.models import GivenReward
from lagdyna.parts import PlannerConfig, Schedule
from lagdyna.simulate import SampledTransition, WorldModel
from lagdyna.tasks import Plant, get_task

from ..control.systems import pendulum
from ..helpers import PENDULUM, close, state
from .toys import phase


def reward(state: State, action: jax.Array, after: State) -> jax.Array:
    """Depends on all of its arguments."""
    return jnp.cos(after.q[0]) - 0.1 * state.qd[0] * after.qd[0] - 0.05 * action @ action


def world(samples: SampledTransition | None = None) -> WorldModel:
    return WorldModel(pendulum(), GivenReward(reward), samples=samples)


def cost_of(model: WorldModel, uncertainty: float = 0.0) -> WorldCost:
    step = State(jnp.asarray([0.1]), jnp.asarray([0.5]))
    return WorldCost(model, step, jnp.asarray(uncertainty), jnp.asarray(0.5))


def members() -> SampledTransition:
    """Pendulums whose forces differ."""

    def member(factor: jax.Array) -> object:
        weights, rest = eqx.partition(pendulum(), eqx.is_inexact_array)
        return eqx.combine(jax.tree.map(lambda x: x * factor, weights), rest)

    return SampledTransition(eqx.filter_vmap(member)(jnp.asarray([0.9, 1.0, 1.2])))


@pytest.mark.parametrize("uncertainty", [0.0, 3.0])
def test_gradient_of_a_step_is_that_of_its_cost(uncertainty: float):
    samples = eqx.filter_jit(members)() if uncertainty else None
    cost = cost_of(world(samples), uncertainty)
    z = jnp.asarray([0.7, 9.0, 0.4])

    def stage(z: jax.Array) -> jax.Array:
        return cost.stage(State(z[:1], z[1:2]), z[2:])

    @jax.jit  # operation by operation, it compiles hundreds of programs
    def expanded(z: jax.Array) -> tuple[Quadratic, jax.Array]:
        return cost.expand_stage(State(z[:1], z[1:2]), z[2:]), jax.grad(stage)(z)

    expansion, gradient = expanded(z)
    close(expansion.gradient, gradient, 1e-3)
    assert np.linalg.eigvalsh(expansion.hessian).min() > -1e-4


def test_cost_is_less_the_reward_and_grows_with_the_variance():
    inside, action = State(jnp.asarray([0.7]), jnp.asarray([4.0])), jnp.asarray([0.4])
    plain = cost_of(world())
    paid = eqx.filter_jit(lambda: reward(inside, action, pendulum().step(inside, action)))()
    expected = 0.5 * 0.4**2 - float(paid)
    stage = eqx.filter_jit(lambda cost: cost.stage(inside, action))
    assert float(stage(plain)) == pytest.approx(expected, rel=1e-5)
    samples = eqx.filter_jit(members)()
    uncertain = stage(cost_of(world(samples), 3.0))
    all_steps = eqx.filter_jit(samples.all_steps)
    next_states = all_steps(State(inside.q[None], inside.qd[None]), action[None])
    q, qd = (np.asarray(x)[:, 0, 0] for x in next_states)
    variance = np.var(q / 0.1, ddof=1) + np.var(qd / 0.5, ddof=1)
    close(float(uncertain) - float(stage(plain)), 3 * variance, 1e-4)


def library_of(states: list[list[float]], actions: list[list[float]]) -> PlanLibrary:
    """Plans of one joint at rest, which the gain 0.5 holds and the identity weighs."""
    return _library(jnp.asarray(states), jnp.asarray(actions))


@eqx.filter_jit
def _library(q: jax.Array, u: jax.Array) -> PlanLibrary:
    empty = PlanLibrary.empty(*q.shape, n=1, m=1)
    library = PlanLibrary(
        State(q[..., None], empty.states.qd),
        u[..., None],
        jnp.broadcast_to(jnp.asarray([[0.5, 0.0]]), empty.gains.shape),
        jnp.broadcast_to(jnp.eye(2), empty.values.shape),
        empty.planned.at[:2].set(True),
        empty.made,
        empty.following,
    )
    return library.linked(PENDULUM)


@eqx.filter_jit
def mode(policy: PlanPolicy, state: State) -> jax.Array:
    return policy.mode(state)


def policy_of(library: PlanLibrary, noise: float = 0.0) -> PlanPolicy:
    policy = eqx.filter_jit(agent_of().init)(jax.random.key(0)).policy
    return PlanPolicy(policy.features, library, policy.weights, noise)


def test_without_a_model_a_policy_tracks_the_nearest_plan():
    policy = policy_of(
        library_of(
            [[0.0, 0.1, 0.2, 0.3], [3.0, 3.1, -3.1, -3.0], [1.0] * 4],
            # The third was never planned.
            [[0.1, 0.2, 0.3, 0.4], [-0.1, -0.2, -0.3, -0.4], [0.9] * 4],
        ),
        noise=0.3,
    )

    def action(q: float) -> float:
        return mode(policy, state(q, 0.0)).item()

    assert action(0.12) == pytest.approx(0.2 - 0.5 * 0.02, abs=1e-6)
    assert action(1.0) == pytest.approx(0.3 - 0.5 * 0.8, abs=1e-6)
    # Across the cut of the circle; the last step of a plan does not count.
    assert action(-3.0) == pytest.approx(-0.3 - 0.5 * 0.1, abs=1e-6)
    noisy, _ = eqx.filter_jit(policy.sample)(state(0.1, 0.0), jnp.asarray([2.0]))
    assert noisy.item() == pytest.approx(0.8, abs=1e-6)
    empty = policy_of(PlanLibrary.empty(2, 4, 1, 1))
    assert mode(empty, state(1.0, 1.0)).item() == 0


def test_with_a_model_the_plan_that_gets_more_is_followed():
    """Of two plans near a state, one pushes up and one down: the reward decides."""
    library = library_of([[0.0] * 4, [0.1] * 4, [9.0] * 4], [[0.5] * 4, [-0.5] * 4, [0.0] * 4])
    policy, start = policy_of(library), state(0.05, 0.0)
    for sign in (1, -1):
        wanted = GivenReward(lambda state, action, after, sign=sign: sign * after.qd[0])
        action = mode(policy.with_model(WorldModel(pendulum(), wanted)), start)
        assert action.item() == pytest.approx(sign * 0.5 - sign * 0.5 * 0.05, abs=1e-6)

    @eqx.filter_jit
    def predicted() -> tuple[State, jax.Array, jax.Array, State]:
        states, actions, cost = policy.predict(start, WorldModel(pendulum(), wanted), 4)
        after = jax.vmap(pendulum().step)(jax.tree.map(lambda x: x[:-1], states), actions)
        return states, actions, cost, after

    states, actions, cost, after = predicted()
    close(after.q, np.asarray(states.q)[1:], 1e-6)
    expected = np.sum(np.asarray(states.qd)[1:]) + 3e-3 * np.sum(np.square(actions))
    close(cost, expected, 1e-5)


def test_a_new_plan_replaces_that_of_its_start_or_the_oldest():
    library = library_of([[0.0] * 4, [3.1] * 4, [0.0] * 4], [[0.0] * 4] * 3)
    library = eqx.tree_at(lambda x: x.made, library, jnp.asarray([5, 2, 0]))

    @eqx.filter_jit
    def slot(library: PlanLibrary, start: State) -> jax.Array:
        return library.slot(start, PENDULUM, jnp.ones(2))

    starts = ((0.02, 0.0), (-3.15, 0.0), (0.02, 0.3), (1.0, 0.0))
    assert [int(slot(library, state(*start))) for start in starts] == [0, 1, 1, 1]
    one = eqx.tree_at(lambda x: x.planned, library, jnp.asarray([False, True, True]))
    assert int(slot(one, state(1.0, 0.0))) == 0


def test_a_plan_continues_where_its_end_is_nearest():
    library = library_of(
        [[0.0, 0.1, 0.2, 0.3], [0.1, 0.32, 0.6, 0.9], [0.0] * 4], [[0.0] * 4] * 3
    )
    # The first ends at 0.3, next to the second's second step; the second ends beside it.
    assert library.following.tolist() == [[1, 1], [1, 2], [2, 0]]


def agent_of(**options: object) -> PlanningAgent:
    plant = Plant.of_task(get_task("Pendulum-v1"))
    config = PlannerConfig(plans=2, horizon=80, iterations=40, updates=2, **options)
    built = config.build(plant, Schedule(1, 2, None))
    assert isinstance(built, PlanningAgent)
    return built


def test_plans_swing_a_known_pendulum_up():
    """One phase of planning in the true equations, and the policy holds the top."""
    agent = agent_of()
    hanging = jax.tree.map(lambda x: x[None], state(np.pi, 0.0))
    zero = jnp.asarray([[0.0]])
    entry = Experience(hanging, zero, jnp.asarray([-1.0]), hanging, jnp.asarray([False]))
    buffer = eqx.filter_jit(ReplayBuffer.empty(4, 1, 1).add)(entry, jnp.asarray(0))
    swing_up = GivenReward(lambda state, action, after: jnp.cos(after.q[0]))
    known = WorldModel(pendulum(), swing_up)
    first = eqx.filter_jit(agent.init)(jax.random.key(0))
    planned, metrics = eqx.filter_jit(agent.improve)(first, known, buffer, phase(1), 4)
    assert float(metrics["skipped"]) == 0
    assert float(metrics["regulated"]) == 1
    assert int(planned.count) == 4
    policy = planned.policy.with_model(known)

    @jax.jit
    def positions(start: State) -> jax.Array:
        def body(now: State, _: None) -> tuple[State, jax.Array]:
            after = pendulum().step(now, policy.mode(now))
            return after, after.q

        return jax.lax.scan(body, start, length=120)[1]

    assert np.cos(np.asarray(positions(state(np.pi + 0.05, 0.0))))[80:].mean() > 0.9


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"uncertainty": 1.0}, "at least 2 are accepted"),
        ({"uncertainty": float("nan")}, "finite number"),
        ({"posterior": {"samples": 4, "pessimism": 1.0}}, "a planner has `uncertainty`"),
    ],
)
def test_options_that_contradict_are_refused(options: dict[str, object], match: str):
    from lagdyna.config import config_from_table

    with pytest.raises(UserError, match=match):
        config_from_table({"agent": {"name": "planner", **options}})


def test_uncertainty_needs_a_filter():
    with pytest.raises(UserError, match="leaves no posterior"):
        Config(agent=PlannerConfig(uncertainty=1.0, posterior=_posterior()))


def _posterior() -> object:
    from lagdyna.parts import PosteriorConfig

    return PosteriorConfig(samples=4)
