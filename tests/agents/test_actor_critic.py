"""The updates of the actor-critic that learns in imagined rollouts."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Scalar

from lagdyna.agents import (
    ActorCritic,
    Critic,
    ImaginationActorCritic,
    ImaginedRollouts,
    imagine,
    lambda_returns,
)
from lagdyna.mechanics import FixedActuation, Limits, MechanicalSystem, State
from lagdyna.simulate import LagrangianField, SolvedTransition, WorldModel

from ..helpers import PENDULUM, close, identical, normals, random_delan, randomised
from .toys import (
    ADAM,
    BATCH,
    odd,
    random_reward,
    randomly_trained,
    small_actor_critic,
    some_starts,
    swing_world,
    untrained,
    weights,
)


def with_adam(entropy: float = 0.0) -> ImaginationActorCritic:
    return small_actor_critic(policy_optimiser=ADAM, critic_optimiser=ADAM, entropy=entropy)


def learned_world() -> WorldModel:
    system = MechanicalSystem(random_delan(3, (True,)), PENDULUM, FixedActuation(((2.0,),)))
    transition = SolvedTransition(LagrangianField(system), PENDULUM, 0.05)
    return WorldModel(transition, random_reward())


def update(
    agent: ImaginationActorCritic,
    state: ActorCritic,
    world: WorldModel,
    scale: float | Array,
    entropy: float | None = None,
) -> tuple[ActorCritic, dict[str, Scalar]]:
    """One update; scales and coefficients are arrays, so that all share a program."""
    coefficient = None if entropy is None else jnp.asarray(entropy)
    return _update(agent, state, world, jnp.asarray(scale), coefficient)


@eqx.filter_jit
def _update(
    agent: ImaginationActorCritic,
    state: ActorCritic,
    world: WorldModel,
    scale: Array,
    entropy: Array | None,
) -> tuple[ActorCritic, dict[str, Scalar]]:
    key = jax.random.key(9)
    return agent.update(state, world, some_starts(), scale, key=key, entropy=entropy)


def imagined_by(state: ActorCritic, starts: State) -> ImaginedRollouts:
    """The rollouts of an update."""
    return jax.tree.map(np.asarray, _imagined_by(state, swing_world(), starts))


@eqx.filter_jit
def _imagined_by(state: ActorCritic, world: WorldModel, starts: State) -> ImaginedRollouts:
    noise = jax.random.normal(jax.random.key(9), (5, BATCH, 1))
    return imagine(state.policy, world, starts, noise)


@eqx.filter_jit
def begun_states(
    agent: ImaginationActorCritic, carried: State, starts: State, seed: Array
) -> State:
    """The first states of an update's rollouts."""
    return agent._reset_rollouts(carried, starts, jax.random.key(seed))


def test_rollouts_continue_from_the_carried_states(x64: None) -> None:
    agent, world = small_actor_critic(reset_fraction=0.0), swing_world()
    state = eqx.tree_at(lambda s: s.carried_states, randomly_trained(agent), some_starts())
    first, _ = update(agent, state, world, 1.0)
    rollouts = imagined_by(state, some_starts())
    close([*first.carried_states], [x[-1] for x in rollouts.states], 1e-12)
    second, metrics = update(agent, first, world, 1.0)
    further = imagined_by(first, first.carried_states)
    close(metrics["imagined_reward"], np.mean(further.rewards), 1e-10)
    close([*second.carried_states], [x[-1] for x in further.states], 1e-12)


def test_rollouts_outside_the_limits_are_reset(x64: None) -> None:
    """The first state is not finite, the second is too fast; each gets a new start."""
    agent = small_actor_critic(reset_fraction=0.0, limits=Limits((3.5,), (50.0,)))
    q, qd = np.linspace(-3.0, 3.0, BATCH)[:, None], np.full((BATCH, 1), 7.0)
    q[0], qd[1] = np.nan, 51.0
    carried = State(jnp.asarray(q), jnp.asarray(qd))
    begun = np.asarray(begun_states(agent, carried, some_starts(), jnp.asarray(0)).q)
    assert np.all(np.isin(begun[:2], some_starts().q))
    close(begun[2:], q[2:], 0)


@pytest.mark.parametrize("fraction", [0.25, 0.75])
def test_a_fraction_of_the_rollouts_is_reset(x64: None, fraction: float) -> None:
    agent = small_actor_critic(reset_fraction=fraction)
    zeros, ones = (jnp.asarray(np.full((4000, 1), x)) for x in (0.0, 1.0))
    carried, starts = State(zeros, zeros), State(ones, ones)
    begun = begun_states(agent, carried, starts, jnp.asarray(3))
    assert np.mean(begun.q) == pytest.approx(fraction, abs=0.03)
    close(begun.q, begun.qd, 0)


CASES: dict[str, Any] = {
    "entropy, rewards and critic": ({}, swing_world),
    "the rewards of a learned model alone": (
        {"return_lambda": 1.0, "entropy": 0.0, "critics": 1},
        learned_world,
    ),
    "the critic alone": (
        {"return_lambda": 0.0, "horizon": 1, "entropy": 0.0},
        lambda: swing_world(odd()),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_actor_ascends_the_gradient_of_the_return(x64: None, case: str) -> None:
    """Against finite differences of the loss, through policy, model, reward and critic."""
    changes, make_world = CASES[case]
    agent, world = small_actor_critic(**changes), make_world()
    state = randomly_trained(agent)
    arrays, static = eqx.partition(state.policy, eqx.is_inexact_array)
    flat, unravel = ravel_pytree(arrays)
    stepped, _ = update(agent, state, world, 1.0)
    gradient = flat - weights(stepped.policy)  # plain gradient descent at rate 1

    def loss(moved: Array) -> float:
        policy = eqx.combine(unravel(moved), static)
        there = eqx.tree_at(lambda s: s.policy, state, policy)
        return float(update(agent, there, world, 1.0)[1]["actor_loss"])

    assert np.linalg.norm(gradient) > 1e-3
    for seed in range(5):
        direction = normals(seed, len(flat))
        h = 1e-5
        slope = (loss(flat + h * direction) - loss(flat - h * direction)) / (2 * h)
        assert gradient @ direction == pytest.approx(slope, rel=1e-5, abs=1e-8)


def test_the_critic_descends_the_gradient_of_its_squared_error(x64: None) -> None:
    agent, world = small_actor_critic(), swing_world()
    state = randomly_trained(agent)
    arrays, static = eqx.partition(state.critics, eqx.is_inexact_array)
    flat, unravel = ravel_pytree(arrays)
    stepped, _ = update(agent, state, world, 1.0)
    gradient = flat - weights(stepped.critics)

    def loss(moved: Array) -> float:
        critics = eqx.combine(unravel(moved), static)
        there = eqx.tree_at(lambda s: s.critics, state, critics)
        return float(update(agent, there, world, 1.0)[1]["critic_loss"])

    for seed in range(3):
        direction = normals(seed, len(flat))
        h = 1e-5
        slope = (loss(flat + h * direction) - loss(flat - h * direction)) / (2 * h)
        assert gradient @ direction == pytest.approx(slope, rel=1e-5)


def values(critics: tuple[Critic, ...], states: State) -> np.ndarray:
    """The values of the states of rollouts, of each critic."""
    return np.asarray(_values(critics, states))


@eqx.filter_jit
def _values(critics: tuple[Critic, ...], states: State) -> Array:
    return jnp.stack([jax.vmap(jax.vmap(critic))(states) for critic in critics])


def test_losses_are_those_of_the_lambda_return(x64: None) -> None:
    """Both losses from their formulas; the smaller of two targets bootstraps."""
    agent, scale = small_actor_critic(), 2.5
    state = randomly_trained(agent)
    _, metrics = update(agent, state, swing_world(), scale)
    rollouts = imagined_by(state, some_starts())

    both = values(state.targets, rollouts.states)[:, 1:]
    assert 0 < np.mean(both[0] < both[1]) < 1, "the smaller one must matter"
    rewards = rollouts.rewards / scale - 0.1 * rollouts.log_probabilities
    returns = eqx.filter_jit(lambda_returns)(rewards, both.min(axis=0), 0.9, 0.8)
    errors = values(state.critics, rollouts.states)[:, :-1] - np.asarray(returns)
    close(metrics["actor_loss"], -np.mean(returns), 1e-10)
    close(metrics["critic_loss"], 0.5 * np.mean(np.sum(errors**2, axis=0)), 1e-10)
    close(metrics["imagined_reward"], np.mean(rollouts.rewards), 1e-10)
    close(metrics["entropy"], -np.mean(rollouts.log_probabilities), 1e-10)
    assert metrics["skipped"] == 0


def test_targets_are_polyak_averages(x64: None) -> None:
    agent, rate = small_actor_critic(), 0.25
    before = randomly_trained(agent)
    after, _ = update(agent, before, swing_world(), 1.0)
    old, new = weights(before.targets), weights(after.targets)
    critics = weights(after.critics)
    assert np.max(np.abs(critics - weights(before.critics))) > 1e-3
    np.testing.assert_allclose(new, old + rate * (critics - old), rtol=1e-10, atol=1e-12)


def test_critics_and_targets_begin_equal_and_critics_differ(x64: None) -> None:
    state = untrained(small_actor_critic())
    identical(state.critics, state.targets)
    one, two = (weights(critic) for critic in state.critics)
    assert not np.allclose(one, two)


ACTOR = ("policy", "policy_state")
CRITIC = ("critics", "critics_state")


@pytest.mark.parametrize(
    ("reward", "skipped", "kept", "moved"),
    [
        ({"slope": jnp.nan}, 2, ACTOR + CRITIC, ()),
        ({"slope": jnp.inf}, 2, ACTOR + CRITIC, ()),
        ({"root": 0.0}, 1, ACTOR, CRITIC),
        ({"constant": jnp.nan}, 1, CRITIC, ACTOR),
    ],
    ids=["NaN", "infinite", "only its gradient", "only its value"],
)
def test_a_step_that_is_not_finite_is_counted_and_not_applied(
    reward: dict[str, float], skipped: int, kept: tuple[str, ...], moved: tuple[str, ...]
) -> None:
    agent = with_adam()
    before = untrained(agent)
    after, metrics = update(agent, before, swing_world(odd(**reward)), 1.0)
    assert metrics["skipped"] == skipped
    for name in kept:
        identical(getattr(after, name), getattr(before, name))
    for name in moved:
        there, here = (weights(getattr(state, name)) for state in (after, before))
        assert np.all(np.isfinite(there))
        assert not np.array_equal(there, here)
    assert np.all(np.isfinite(weights(after.targets)))


@pytest.mark.parametrize("factor", [2.0**-6, 2.0**9])
def test_the_scale_of_rewards_does_not_matter(x64: None, factor: float) -> None:
    """Rewards and their scale times one power of 2: the same update, to the last bit."""
    agent, reward = small_actor_critic(), random_reward()
    scaled = (factor * reward.location, factor * reward.scale)
    larger = eqx.tree_at(lambda r: (r.location, r.scale), reward, scaled)
    state = randomly_trained(agent)
    one, metrics = update(agent, state, swing_world(reward), jnp.asarray(3.0))
    other, same = update(agent, state, swing_world(larger), jnp.asarray(factor * 3.0))
    identical(other, one)
    assert same["imagined_reward"] == factor * metrics["imagined_reward"]


def test_the_critic_learns_the_value_of_an_endless_reward() -> None:
    """A reward of 3 in units of 2 has the value 3 / 2 / (1 - gamma)."""
    agent, world = with_adam(), swing_world(odd(3.0))
    state, scale = untrained(agent), jnp.asarray(2.0)
    for _ in range(1000):
        state, _ = update(agent, state, world, scale)
    starts = State(*(np.asarray(x)[None] for x in some_starts()))
    found = values((*state.critics, *state.targets), starts)
    np.testing.assert_allclose(found, 15.0, rtol=0.02)


def test_an_update_can_have_its_own_entropy_coefficient(x64: None) -> None:
    agent, other = small_actor_critic(entropy=0.1), small_actor_critic(entropy=0.7)
    arguments = (randomly_trained(agent), swing_world(), 2.0)
    given, metrics = update(agent, *arguments, entropy=0.7)
    usual, expected = update(other, *arguments)
    np.testing.assert_allclose(weights(given.policy), weights(usual.policy), rtol=1e-10)
    np.testing.assert_allclose(weights(given.critics), weights(usual.critics), rtol=1e-10)
    close(metrics["actor_loss"], expected["actor_loss"], 1e-10)
    own, _ = update(agent, *arguments)
    assert np.max(np.abs(weights(own.policy) - weights(given.policy))) > 1e-6


@pytest.mark.parametrize("entropy", [0.0, 1.0])
def test_entropy_rises_only_with_a_coefficient(entropy: float) -> None:
    """There is no reward, and no value."""
    agent, world = with_adam(entropy), swing_world(odd())
    state = untrained(agent)
    zero = randomised(state.targets, 0, 0.0)
    history = []
    for _ in range(100):
        # The critic would learn the value of entropy, so it is reset each time.
        state = eqx.tree_at(lambda s: (s.critics, s.targets), state, (zero, zero))
        state, metrics = update(agent, state, world, jnp.ones(()))
        history.append(float(metrics["entropy"]))
    gained = history[-1] - history[0]
    assert gained > 0.1 if entropy else gained == 0
