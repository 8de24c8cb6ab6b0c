"""The agent that plans, its policy and its cost."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna import UserError
from lagdyna.agents import Phase, PlanLibrary, PlanningAgent, PlanPolicy, WorldCost
from lagdyna.config import Config
from lagdyna.control import Quadratic
from lagdyna.data import Experience, ReplayBuffer
from lagdyna.mechanics import State
from lagdyna.models import GivenReward
from lagdyna.parts import PlannerConfig, Schedule
from lagdyna.simulate import SampledTransition, WorldModel
from lagdyna.tasks import Plant, get_task

from ..control.systems import pendulum
from ..helpers import PENDULUM, close


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
    paid = reward(inside, action, eqx.filter_jit(pendulum().step)(inside, action))
    expected = 0.5 * 0.4**2 - paid
    stage = eqx.filter_jit(lambda cost: cost.stage(inside, action))
    assert float(stage(plain)) == pytest.approx(float(expected), rel=1e-5)
    samples = eqx.filter_jit(members)()
    uncertain = stage(cost_of(world(samples), 3.0))
    all_steps = eqx.filter_jit(samples.all_steps)
    next_states = all_steps(jax.tree.map(lambda x: x[None], inside), action[None])
    variance = jnp.var(next_states.q[:, 0, 0] / 0.1, ddof=1)
    variance += jnp.var(next_states.qd[:, 0, 0] / 0.5, ddof=1)
    close(uncertain - stage(plain), 3 * variance, 1e-4)


def library_of(states: list[list[float]], actions: list[list[float]]) -> PlanLibrary:
    """Plans of one joint at rest, which the gain 0.5 holds and the identity weighs."""
    empty = PlanLibrary.empty(len(states), len(states[0]), n=1, m=1)
    library = PlanLibrary(
        State(jnp.asarray(states)[..., None], empty.states.qd),
        jnp.asarray(actions)[..., None],
        jnp.broadcast_to(jnp.asarray([[0.5, 0.0]]), empty.gains.shape),
        jnp.broadcast_to(jnp.eye(2), empty.values.shape),
        empty.planned.at[:2].set(True),
        empty.made,
        empty.following,
    )
    return library.linked(PENDULUM)


def policy_of(library: PlanLibrary, noise: float = 0.0) -> PlanPolicy:
    policy = agent_of().init(jax.random.key(0)).policy
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

    of_state = eqx.filter_jit(policy.mode)

    def mode(q: float) -> float:
        return float(of_state(State(jnp.asarray([q]), jnp.zeros(1)))[0])

    assert mode(0.12) == pytest.approx(0.2 - 0.5 * 0.02, abs=1e-6)
    assert mode(1.0) == pytest.approx(0.3 - 0.5 * 0.8, abs=1e-6)
    # Across the cut of the circle; the last step of a plan does not count.
    assert mode(-3.0) == pytest.approx(-0.3 - 0.5 * 0.1, abs=1e-6)
    noisy, _ = policy.sample(State(jnp.asarray([0.1]), jnp.zeros(1)), jnp.asarray([2.0]))
    assert float(noisy[0]) == pytest.approx(0.8, abs=1e-6)
    empty = policy_of(PlanLibrary.empty(2, 4, 1, 1))
    assert float(empty.mode(State(jnp.ones(1), jnp.ones(1)))[0]) == 0


def test_with_a_model_the_plan_that_gets_more_is_followed():
    """Of two plans near a state, one pushes up and one down: the reward decides."""
    library = library_of([[0.0] * 4, [0.1] * 4, [9.0] * 4], [[0.5] * 4, [-0.5] * 4, [0.0] * 4])
    policy, start = policy_of(library), State(jnp.asarray([0.05]), jnp.zeros(1))
    for sign in (1, -1):
        wanted = GivenReward(lambda state, action, after, sign=sign: sign * after.qd[0])
        action = policy.with_model(WorldModel(pendulum(), wanted)).mode(start)
        assert float(action[0]) == pytest.approx(sign * 0.5 - sign * 0.5 * 0.05, abs=1e-6)
    states, actions, cost = policy.predict(start, WorldModel(pendulum(), wanted), 4)
    after = jax.vmap(pendulum().step)(jax.tree.map(lambda x: x[:-1], states), actions)
    close(after.q, states.q[1:], 1e-6)
    expected = jnp.sum(states.qd[1:]) + 3e-3 * jnp.sum(actions**2)
    close(cost, expected, 1e-5)


def test_a_new_plan_replaces_that_of_its_start_or_the_oldest():
    library = library_of([[0.0] * 4, [3.1] * 4, [0.0] * 4], [[0.0] * 4] * 3)
    library = eqx.tree_at(lambda x: x.made, library, jnp.asarray([5, 2, 0]))
    slots = [
        int(library.slot(State(jnp.asarray([q]), jnp.asarray([qd])), PENDULUM, jnp.ones(2)))
        for q, qd in ((0.02, 0.0), (-3.15, 0.0), (0.02, 0.3), (1.0, 0.0))
    ]
    assert slots == [0, 1, 1, 1]
    one = eqx.tree_at(lambda x: x.planned, library, jnp.asarray([False, True, True]))
    assert int(one.slot(State(jnp.ones(1), jnp.zeros(1)), PENDULUM, jnp.ones(2))) == 0


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
    hanging = State(jnp.asarray([[np.pi]]), jnp.zeros((1, 1)))
    entry = Experience(
        hanging, jnp.zeros((1, 1)), jnp.asarray([-1.0]), hanging, jnp.zeros(1, bool)
    )
    buffer = ReplayBuffer.empty(4, 1, 1).add(entry, jnp.zeros((), int))
    phase = Phase(jnp.zeros((), jnp.uint32), jnp.ones((), int), jnp.zeros((), int))
    state = agent.init(jax.random.key(0))
    swing_up = GivenReward(lambda state, action, after: jnp.cos(after.q[0]))
    improve = eqx.filter_jit(agent.improve)
    known = WorldModel(pendulum(), swing_up)
    state, metrics = improve(state, known, buffer, phase, 4)
    assert float(metrics["skipped"]) == 0
    assert float(metrics["regulated"]) == 1
    assert int(state.count) == 4
    policy = state.policy.with_model(known)

    def body(now: State, _: None) -> tuple[State, State]:
        after = pendulum().step(now, policy.mode(now))
        return after, after

    start = State(jnp.asarray([np.pi + 0.05]), jnp.zeros(1))
    _, states = jax.lax.scan(body, start, length=120)
    assert np.cos(states.q[80:]).mean() > 0.9


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
