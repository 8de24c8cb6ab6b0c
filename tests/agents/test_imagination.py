"""What one update does, and what imagined rollouts are."""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Scalar

from lagdyna.agents import (
    Behaviour,
    Critic,
    Features,
    ImaginationActorCritic,
    Policy,
    imagine,
    lambda_returns,
    uniform_states,
)
from lagdyna.mechanics import Coordinates, FixedActuation, MechanicalSystem, State
from lagdyna.models import AbstractReward, RewardNetwork
from lagdyna.simulate import AbstractTransition, LagrangianField, SolvedTransition
from lagdyna.systems import PlanarChain

from ..helpers import PENDULUM, close, identical, normals, random_delan, randomised

FEATURES = Features(PENDULUM, (4.0,))
BATCH = 6
# Made once: two transformations are never equal, and each new one compiles anew.
PLAIN, ADAM = optax.sgd(1.0), optax.adam(1e-2)


class Swing(AbstractTransition):
    """The simplest thing that an agent could act in; its strength is a trainable leaf."""

    coordinates: Coordinates
    strength: Float[Array, ""]

    def step(self, state: State, action: Float[Array, " m"]) -> State:
        force = self.strength * jnp.sin(state.q) + 2 * action
        return State(state.q + 0.1 * state.qd, state.qd + 0.1 * force)


class Odd(AbstractReward):
    """Whatever a reward can do to an update: `constant`, `slope` and `root` are leaves."""

    constant: Float[Array, ""]
    slope: Float[Array, ""]
    root: Float[Array, ""]

    def __call__(self, state: State, action: Float[Array, " m"], next_state: State) -> Scalar:
        # With `root` 0 the last term is 0, and of slope 0 times infinity.
        return self.constant + self.slope * action[0] + jnp.sqrt(self.root + 0 * action[0])


def an_agent(**changes: Any) -> ImaginationActorCritic:
    options: dict[str, Any] = {
        "features": FEATURES,
        "action_size": 1,
        "hidden": (6,),
        "activation": jnp.tanh,
        "horizon": 5,
        "restart": 1.0,
        "limits": ((10.0,), (100.0,)),
        "discount": 0.9,
        "return_lambda": 0.8,
        "entropy": 0.1,
        "critics": 2,
        "target_rate": 0.25,
        "policy_optimiser": PLAIN,
        "critic_optimiser": PLAIN,
    }
    return ImaginationActorCritic(**{**options, **changes})


def with_adam(entropy: float = 0.0) -> ImaginationActorCritic:
    return an_agent(policy_optimiser=ADAM, critic_optimiser=ADAM, entropy=entropy)


def a_transition() -> Swing:
    return Swing(PENDULUM, jnp.asarray(3.0))


def a_learned_transition() -> SolvedTransition:
    system = MechanicalSystem(random_delan(3, (True,)), PENDULUM, FixedActuation(((2.0,),)))
    return SolvedTransition(LagrangianField(system), PENDULUM, 0.05)


@functools.cache
def _reward() -> RewardNetwork:
    return RewardNetwork(PENDULUM, 1, (4.0,), hidden=(6,), key=jax.random.key(0))


def a_reward() -> RewardNetwork:
    reward = randomised(_reward(), 4, 0.5)
    return eqx.tree_at(
        lambda r: (r.location, r.scale), reward, (jnp.asarray(-1.0), jnp.asarray(2.0))
    )


def odd(constant: float = 0.0, slope: float = 0.0, root: float = 1.0) -> Odd:
    """By itself it pays nothing."""
    return Odd(*(jnp.asarray(x) for x in (constant - root**0.5, slope, root)))


def some_starts() -> State:
    return uniform_states(jax.random.key(0), BATCH, (3.0,), (4.0,))


@functools.cache
def untaught(agent: ImaginationActorCritic) -> Behaviour:
    return eqx.filter_jit(agent.init)(jax.random.key(0), BATCH)


def learned(agent: ImaginationActorCritic, seed: int = 5) -> Behaviour:
    """A behaviour in the middle of learning: every weight random, targets of their own."""
    behaviour = untaught(agent)
    return eqx.tree_at(
        lambda b: (b.policy, b.critics, b.targets),
        behaviour,
        (
            randomised(behaviour.policy, seed, 0.4),
            randomised(behaviour.critics, seed + 1, 0.4),
            randomised(behaviour.targets, seed + 2, 0.4),
        ),
    )


@eqx.filter_jit
def update(
    agent: ImaginationActorCritic,
    behaviour: Behaviour,
    transition: AbstractTransition,
    reward: AbstractReward,
    scale: Scalar,
) -> tuple[Behaviour, dict[str, Scalar]]:
    key = jax.random.key(9)
    return agent.update(behaviour, transition, reward, some_starts(), scale, key=key)


def weights(model: Any) -> Float[Array, " weights"]:
    return ravel_pytree(eqx.filter(model, eqx.is_inexact_array))[0]


def test_imagining_is_acting_in_a_loop(x64: None) -> None:
    policy, transition, reward = learned(an_agent()).policy, a_transition(), a_reward()
    starts, noise = some_starts(), normals(1, 5, BATCH, 1)
    imagined = eqx.filter_jit(imagine)(policy, transition, reward, starts, noise)
    assert imagined.states.q.shape == (6, BATCH, 1)

    @jax.jit
    def one(state: State, eps: Array) -> tuple[State, Scalar, Scalar]:
        action, log_probability = policy.sample(state, eps)
        following = transition.step(state, action)
        return following, reward(state, action, following), log_probability

    for i in range(BATCH):
        state = State(starts.q[i], starts.qd[i])
        for t in range(5):
            close([x[t, i] for x in imagined.states], list(state), 1e-12)
            state, paid, log_probability = one(state, noise[t, i])
            close(imagined.rewards[t, i], paid, 1e-10)
            close(imagined.log_probabilities[t, i], log_probability, 1e-10)
        close([x[5, i] for x in imagined.states], list(state), 1e-12)


def test_rollouts_go_on_where_the_last_came_to(x64: None) -> None:
    """By metrics of the next update alone: they are those of an update that begins there."""
    agent, transition, reward, one = an_agent(restart=0.0), a_transition(), a_reward(), 1.0
    behaviour = eqx.tree_at(lambda b: b.going, learned(agent), some_starts())
    first, _ = update(agent, behaviour, transition, reward, jnp.asarray(one))
    whole = imagined_by(agent, behaviour, some_starts())
    close([*first.going], [x[-1] for x in whole.states], 1e-12)
    second, metrics = update(agent, first, transition, reward, jnp.asarray(one))
    onward = imagined_by(agent, first, first.going)
    close(metrics["imagined_reward"], np.mean(onward.rewards), 1e-10)
    close([*second.going], [x[-1] for x in onward.states], 1e-12)


def imagined_by(agent: ImaginationActorCritic, behaviour: Behaviour, starts: State) -> Any:
    noise = jax.random.normal(jax.random.key(9), (5, BATCH, 1))
    return eqx.filter_jit(imagine)(behaviour.policy, a_transition(), a_reward(), starts, noise)


def test_rollouts_that_went_astray_begin_anew(x64: None) -> None:
    """A rollout beyond the limits, and one that is no number; each gets some fresh start."""
    agent = an_agent(restart=0.0, limits=((3.5,), (50.0,)))
    q = jnp.linspace(-3.0, 3.0, BATCH)[:, None].at[0].set(jnp.nan)
    qd = jnp.full((BATCH, 1), 7.0).at[1].set(51.0)
    begun = np.asarray(agent._begun(State(q, qd), some_starts(), jax.random.key(0)).q)
    assert np.all(np.isin(begun[:2], np.asarray(some_starts().q)))
    close(begun[2:], np.asarray(q)[2:], 0)


def test_a_rollout_that_no_solver_can_follow_spoils_nothing() -> None:
    """At such speeds Coriolis forces overflow in a few steps."""
    chain = PlanarChain.rods(2)
    system = MechanicalSystem(chain, chain.coordinates, FixedActuation(((0.0,), (1.0,))))
    transition = SolvedTransition(LagrangianField(system), chain.coordinates, 0.1)
    policy = eqx.filter_jit(
        lambda key: Policy(
            Features(chain.coordinates, (5.0, 5.0)),
            1,
            hidden=(4,),
            activation=jnp.tanh,
            key=key,
        )
    )(jax.random.key(0))
    starts = State(jnp.full((2, 2), 1.0), jnp.asarray([[0.0, 0.0], [60.0, -60.0]]))
    reward, noise = Odd(*(jnp.asarray(x) for x in (0.0, 0.0, 1.0))), jnp.zeros((12, 2, 1))

    @eqx.filter_jit
    def last_of(limits: Any) -> State:
        states = imagine(policy, transition, reward, starts, noise, limits=limits).states
        return jax.tree.map(lambda x: x[-1], states)

    free, kept = last_of(None), last_of(((10.0, 10.0), (30.0, 30.0)))
    assert not np.all(np.abs(free.qd[1]) < 1e3)
    assert np.all(np.abs(kept.qd) <= 30.0)
    close(kept.q[0], free.q[0], 1e-6)


class Breaking(AbstractTransition):
    """A motion that cannot be followed beyond 2, and is amplified below -2."""

    coordinates: Coordinates

    def step(self, state: State, action: Float[Array, " m"]) -> State:
        gain = jnp.where(state.q > 2, jnp.inf, jnp.where(state.q < -2, 1e6, 1.0))
        return State(state.q + 0.1 * state.qd, state.qd + 0.1 * gain * action)


def test_a_rollout_that_is_no_number_stays_and_begins_anew(x64: None) -> None:
    agent, before = an_agent(restart=0.0), untaught(an_agent())
    going = State(jnp.linspace(-1.0, 2.5, BATCH)[:, None], jnp.zeros((BATCH, 1)))
    before = eqx.tree_at(lambda b: b.going, before, going)
    noise = jnp.ones((5, BATCH, 1))
    imagined = imagine(before.policy, Breaking(PENDULUM), a_reward(), going, noise)
    assert np.asarray(imagined.followed[0]).tolist() == [True] * (BATCH - 1) + [False]
    identical(
        jax.tree.map(lambda x: x[0, -1], imagined.states),
        jax.tree.map(lambda x: x[-1, -1], imagined.states),
    )
    after, metrics = update(agent, before, Breaking(PENDULUM), a_reward(), jnp.ones(()))
    assert metrics["skipped"] == 0
    assert np.isnan(after.going.q).ravel().tolist() == [False] * (BATCH - 1) + [True]


def slopes(transition: AbstractTransition, starts: State) -> np.ndarray:
    """Of the reward of the last of three steps by each rollout's first action."""
    policy, reward = untaught(an_agent()).policy, a_reward()

    def paid(nudge: Array) -> Scalar:
        noise = jnp.zeros((3, BATCH, 1)).at[0].add(nudge)
        return imagine(policy, transition, reward, starts, noise).rewards[-1].sum()

    return np.asarray(jax.grad(paid)(jnp.zeros((BATCH, 1)))).ravel()


def test_no_rollout_decides_the_gradient_alone(x64: None) -> None:
    """Rows as usual are as they were; one a million times longer is cut to ten times."""
    q = jnp.linspace(-1.0, 1.0, BATCH)[:, None]
    usual = slopes(Breaking(PENDULUM), State(q, jnp.zeros_like(q)))
    wild = slopes(Breaking(PENDULUM), State(q.at[0].set(-2.5), jnp.zeros_like(q)))
    lost = slopes(Breaking(PENDULUM), State(q.at[0].set(2.5), jnp.zeros_like(q)))
    assert np.all(np.isfinite(lost))
    close(lost[1:], usual[1:], 1e-12)
    close(wild[1:], usual[1:], 1e-12)
    assert np.abs(wild[0]) < 20 * np.median(np.abs(usual))


@pytest.mark.parametrize("restart", [0.25, 0.75])
def test_a_fraction_of_rollouts_begins_anew(x64: None, restart: float) -> None:
    agent = an_agent(restart=restart)
    going = State(jnp.zeros((4000, 1)), jnp.zeros((4000, 1)))
    starts = State(jnp.ones((4000, 1)), jnp.ones((4000, 1)))
    begun = agent._begun(going, starts, jax.random.key(3))
    assert np.mean(begun.q) == pytest.approx(restart, abs=0.03)
    close(begun.q, begun.qd, 0)


CASES: dict[str, Any] = {
    "entropy, rewards and critic": (
        {},
        a_transition,
        a_reward,
    ),
    "the rewards of a learned model alone": (
        {"return_lambda": 1.0, "entropy": 0.0, "critics": 1},
        a_learned_transition,
        a_reward,
    ),
    "the critic alone": (
        {"return_lambda": 0.0, "horizon": 1, "entropy": 0.0},
        a_transition,
        odd,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_actor_climbs_the_gradient_of_the_imagined_return(x64: None, case: str) -> None:
    """Against finite differences of the loss, through policy, model, reward and critic."""
    changes, make_transition, make_reward = CASES[case]
    agent, transition, reward = an_agent(**changes), make_transition(), make_reward()
    behaviour, one = learned(agent), jnp.ones(())
    arrays, static = eqx.partition(behaviour.policy, eqx.is_inexact_array)
    flat, unravel = ravel_pytree(arrays)
    stepped, _ = update(agent, behaviour, transition, reward, one)
    gradient = flat - weights(stepped.policy)  # plain gradient descent at rate 1

    def loss(moved: Array) -> float:
        policy = eqx.combine(unravel(moved), static)
        there = eqx.tree_at(lambda b: b.policy, behaviour, policy)
        return float(update(agent, there, transition, reward, one)[1]["actor_loss"])

    assert np.linalg.norm(gradient) > 1e-3
    for seed in range(5):
        direction = normals(seed, len(flat))
        h = 1e-5
        slope = (loss(flat + h * direction) - loss(flat - h * direction)) / (2 * h)
        assert gradient @ direction == pytest.approx(slope, rel=1e-5, abs=1e-8)


def test_the_critic_follows_the_gradient_of_its_squared_error(x64: None) -> None:
    agent, transition, reward = an_agent(), a_transition(), a_reward()
    behaviour, one = learned(agent), jnp.ones(())
    arrays, static = eqx.partition(behaviour.critics, eqx.is_inexact_array)
    flat, unravel = ravel_pytree(arrays)
    stepped, _ = update(agent, behaviour, transition, reward, one)
    gradient = flat - weights(stepped.critics)

    def loss(moved: Array) -> float:
        critics = eqx.combine(unravel(moved), static)
        there = eqx.tree_at(lambda b: b.critics, behaviour, critics)
        return float(update(agent, there, transition, reward, one)[1]["critic_loss"])

    for seed in range(3):
        direction = normals(seed, len(flat))
        h = 1e-5
        slope = (loss(flat + h * direction) - loss(flat - h * direction)) / (2 * h)
        assert gradient @ direction == pytest.approx(slope, rel=1e-5)


def test_losses_are_those_of_the_lambda_return(x64: None) -> None:
    """Both losses from their formulas; targets bootstrap, the smaller of two counts."""
    agent, transition, reward = an_agent(), a_transition(), a_reward()
    behaviour = learned(agent)
    scale = 2.5
    _, metrics = update(agent, behaviour, transition, reward, jnp.asarray(scale))
    noise = jax.random.normal(jax.random.key(9), (5, BATCH, 1))
    imagined = eqx.filter_jit(imagine)(
        behaviour.policy, transition, reward, some_starts(), noise
    )

    def values(critics: tuple[Critic, ...], states: State) -> np.ndarray:
        return np.stack([jax.vmap(jax.vmap(critic))(states) for critic in critics])

    following = State(imagined.states.q[1:], imagined.states.qd[1:])
    both = values(behaviour.targets, following)
    assert 0 < np.mean(both[0] < both[1]) < 1, "the smaller one must matter"
    returns = lambda_returns(
        imagined.rewards / scale - 0.1 * imagined.log_probabilities,
        jnp.asarray(both.min(axis=0)),
        0.9,
        0.8,
    )
    visited = State(imagined.states.q[:-1], imagined.states.qd[:-1])
    errors = values(behaviour.critics, visited) - np.asarray(returns)
    close(metrics["actor_loss"], -np.mean(returns), 1e-10)
    close(metrics["critic_loss"], 0.5 * np.mean(np.sum(errors**2, axis=0)), 1e-10)
    close(metrics["imagined_reward"], np.mean(imagined.rewards), 1e-10)
    close(metrics["entropy"], -np.mean(imagined.log_probabilities), 1e-10)
    assert metrics["skipped"] == 0


def test_targets_follow_at_the_given_rate(x64: None) -> None:
    agent, rate = an_agent(), 0.25
    before = learned(agent)
    after, _ = update(agent, before, a_transition(), a_reward(), jnp.ones(()))
    old, new = weights(before.targets), weights(after.targets)
    critics = weights(after.critics)
    assert np.max(np.abs(critics - weights(before.critics))) > 1e-3
    np.testing.assert_allclose(new, old + rate * (critics - old), rtol=1e-10, atol=1e-12)


def test_critics_and_targets_begin_equal_and_critics_differ(x64: None) -> None:
    behaviour = untaught(an_agent())
    identical(behaviour.critics, behaviour.targets)
    one, two = (weights(critic) for critic in behaviour.critics)
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
    ids=["not a number", "infinite", "only its gradient", "only its value"],
)
def test_an_update_that_is_not_finite_is_counted_and_not_applied(
    reward: dict[str, float], skipped: int, kept: tuple[str, ...], moved: tuple[str, ...]
) -> None:
    agent = with_adam()
    before = untaught(agent)
    after, metrics = update(agent, before, a_transition(), odd(**reward), jnp.ones(()))
    assert metrics["skipped"] == skipped
    for name in kept:
        identical(getattr(after, name), getattr(before, name))
    for name in moved:
        there, here = (weights(getattr(b, name)) for b in (after, before))
        assert np.all(np.isfinite(there))
        assert not np.array_equal(there, here)
    assert np.all(np.isfinite(weights(after.targets)))


@pytest.mark.parametrize("factor", [2.0**-6, 2.0**9])
def test_a_task_that_pays_in_another_currency_is_learned_the_same(
    x64: None, factor: float
) -> None:
    """Rewards and their scale times one power of 2: the same update, to the last bit."""
    agent, transition, reward = an_agent(), a_transition(), a_reward()
    more = (factor * reward.location, factor * reward.scale)
    richer = eqx.tree_at(lambda r: (r.location, r.scale), reward, more)
    behaviour = learned(agent)
    one, metrics = update(agent, behaviour, transition, reward, jnp.asarray(3.0))
    other, same = update(agent, behaviour, transition, richer, jnp.asarray(factor * 3.0))
    identical(other, one)
    assert same["imagined_reward"] == factor * metrics["imagined_reward"]


def test_a_critic_sees_a_reward_that_ends_nowhere() -> None:
    """Paid 3 for ever in units of 2, the value is 3 / 2 / (1 - gamma)."""
    agent, transition, reward = with_adam(), a_transition(), odd(3.0)
    behaviour = untaught(agent)
    for _ in range(1500):
        behaviour, _ = update(agent, behaviour, transition, reward, jnp.asarray(2.0))
    for critic in (*behaviour.critics, *behaviour.targets):
        values = jax.vmap(critic)(some_starts())
        np.testing.assert_allclose(values, 15.0, rtol=0.02)


def test_what_entropy_is_worth_can_be_said_anew_for_each_update(x64: None) -> None:
    agent, other = an_agent(entropy=0.1), an_agent(entropy=0.7)
    behaviour, arguments = learned(agent), (a_transition(), a_reward(), some_starts())
    scale, key = jnp.asarray(2.0), jax.random.key(9)
    told, metrics = agent.update(
        behaviour, *arguments, scale, key=key, entropy=jnp.asarray(0.7)
    )
    known, expected = other.update(behaviour, *arguments, scale, key=key)
    np.testing.assert_allclose(weights(told.policy), weights(known.policy), rtol=1e-10)
    np.testing.assert_allclose(weights(told.critics), weights(known.critics), rtol=1e-10)
    close(metrics["actor_loss"], expected["actor_loss"], 1e-10)
    usual, _ = agent.update(behaviour, *arguments, scale, key=key)
    assert np.max(np.abs(weights(usual.policy) - weights(told.policy))) > 1e-6


@pytest.mark.parametrize("entropy", [0.0, 1.0])
def test_entropy_is_sought_only_where_it_is_paid_for(entropy: float) -> None:
    """Nothing else is paid, nor hoped for."""
    agent, transition, nothing = with_adam(entropy), a_transition(), odd()
    behaviour = untaught(agent)
    silent = randomised(behaviour.targets, 0, 0.0)
    history = []
    for _ in range(100):
        # The critic would learn to hope for entropy; it is kept out of this.
        behaviour = eqx.tree_at(lambda b: (b.critics, b.targets), behaviour, (silent, silent))
        behaviour, metrics = update(agent, behaviour, transition, nothing, jnp.ones(()))
        history.append(float(metrics["entropy"]))
    gained = history[-1] - history[0]
    assert gained > 0.1 if entropy else gained == 0
