"""Imagined rollouts, and their bounded gradients."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Scalar

from lagdyna.agents import Features, Policy, imagine, imagined_return
from lagdyna.mechanics import Coordinates, FixedActuation, Limits, MechanicalSystem, State
from lagdyna.models import GivenReward
from lagdyna.simulate import AbstractTransition, LagrangianField, SolvedTransition, WorldModel
from lagdyna.systems import PlanarChain

from ..helpers import PENDULUM, close, identical, normals
from .toys import (
    BATCH,
    odd,
    random_reward,
    randomly_trained,
    small_actor_critic,
    some_starts,
    swing,
    swing_world,
    untrained,
)

imagined = eqx.filter_jit(imagine)


def _numpy(arrays: Any) -> Any:
    return jax.tree.map(np.asarray, arrays)


def test_rollouts_equal_a_loop_of_single_steps(x64: None) -> None:
    policy, world = randomly_trained(small_actor_critic()).policy, swing_world()
    starts, noise = _numpy(some_starts()), _numpy(normals(1, 5, BATCH, 1))
    rollouts = _numpy(imagined(policy, world, starts, noise))
    assert rollouts.states.q.shape == (6, BATCH, 1)

    @jax.jit
    def one(state: State, eps: Array) -> tuple[State, Scalar, Scalar]:
        action, log_probability = policy.sample(state, eps)
        next_state = world.transition.step(state, action)
        return next_state, world.reward(state, action, next_state), log_probability

    for i in range(BATCH):
        state = State(starts.q[i], starts.qd[i])
        for t in range(5):
            close([x[t, i] for x in rollouts.states], list(state), 1e-12)
            state, reward, log_probability = one(state, noise[t, i])
            close(rollouts.rewards[t, i], reward, 1e-10)
            close(rollouts.log_probabilities[t, i], log_probability, 1e-10)
        close([x[5, i] for x in rollouts.states], list(state), 1e-12)


def test_limits_keep_a_rollout_finite_that_would_overflow() -> None:
    """At such speeds Coriolis forces overflow in a few steps."""
    chain = PlanarChain.rods(2)
    system = MechanicalSystem(chain, chain.coordinates, FixedActuation(((0.0,), (1.0,))))
    transition = SolvedTransition(LagrangianField(system), chain.coordinates, 0.1)
    features = Features(chain.coordinates, (5.0, 5.0))
    policy = eqx.filter_jit(
        lambda key: Policy(features, 1, hidden=(4,), activation=jnp.tanh, key=key)
    )(jax.random.key(0))
    starts = State(jnp.asarray([[1.0, 1.0]] * 2), jnp.asarray([[0.0, 0.0], [60.0, -60.0]]))
    world = WorldModel(transition, odd())

    @eqx.filter_jit
    def last_state(limits: Any) -> State:
        states = imagine(policy, world, starts, jnp.zeros((12, 2, 1)), limits).states
        return jax.tree.map(lambda x: x[-1], states)

    free = _numpy(last_state(None))
    clipped = _numpy(last_state(Limits((10.0, 10.0), (30.0, 30.0))))
    assert not np.all(np.abs(free.qd[1]) < 1e3)
    assert np.all(np.abs(clipped.qd) <= 30.0)
    close(clipped.q[0], free.q[0], 1e-6)


class Breaking(AbstractTransition):
    """Dynamics that are not finite beyond 2, and amplified below -2."""

    coordinates: Coordinates

    def step(self, state: State, action: Float[Array, " m"]) -> State:
        gain = jnp.where(state.q > 2, jnp.inf, jnp.where(state.q < -2, 1e6, 1.0))
        return State(state.q + 0.1 * state.qd, state.qd + 0.1 * gain * action)


BREAKING = WorldModel(Breaking(PENDULUM), odd())


def test_a_rollout_that_is_not_finite_stays_and_is_reset(x64: None) -> None:
    agent = small_actor_critic(reset_fraction=0.0)
    q = np.linspace(-1.0, 2.5, BATCH)[:, None]
    carried = State(jnp.asarray(q), jnp.asarray(0 * q))
    before = eqx.tree_at(lambda s: s.carried_states, untrained(agent), carried)
    rollouts = _numpy(
        imagined(before.policy, BREAKING, carried, _numpy(np.ones((5, BATCH, 1))))
    )
    assert rollouts.is_finite[0].tolist() == [True] * (BATCH - 1) + [False]
    identical(
        jax.tree.map(lambda x: x[0, -1], rollouts.states),
        jax.tree.map(lambda x: x[-1, -1], rollouts.states),
    )
    after, metrics = eqx.filter_jit(agent.update)(
        before, BREAKING, some_starts(), jnp.asarray(1.0), key=jax.random.key(9)
    )
    assert metrics["skipped"] == 0
    lost = np.isnan(after.carried_states.q).ravel()
    assert lost.tolist() == [False] * (BATCH - 1) + [True]


def slopes(first: float) -> np.ndarray:
    """Derivative of the last of three rewards by the first action of each rollout.

    Rollouts start at rest, the first one at `first` and the others from -0.6 to 1.
    """
    q = np.concatenate([[first], np.linspace(-1.0, 1.0, BATCH)[1:]])[:, None]
    policy = untrained(small_actor_critic()).policy
    return np.asarray(_slopes(policy, State(jnp.asarray(q), jnp.asarray(0 * q)))).ravel()


@eqx.filter_jit
def _slopes(policy: Policy, starts: State) -> Float[Array, "batch 1"]:
    world = WorldModel(Breaking(PENDULUM), random_reward())

    def last_reward(nudge: Array) -> Scalar:
        noise = jnp.zeros((3, BATCH, 1)).at[0].add(nudge)
        return imagine(policy, world, starts, noise).rewards[-1].sum()

    return jax.grad(last_reward)(jnp.zeros((BATCH, 1)))


def test_no_rollout_dominates_the_gradient(x64: None) -> None:
    """Usual rows do not change; one that is a million times longer is cut to ten times."""
    usual, amplified, lost = slopes(-1.0), slopes(-2.5), slopes(2.5)
    assert np.all(np.isfinite(lost))
    close(lost[1:], usual[1:], 1e-12)
    close(amplified[1:], usual[1:], 1e-12)
    assert np.abs(amplified[0]) < 20 * np.median(np.abs(usual))


def test_the_imagined_return_is_a_sum_over_rollouts_without_noise(x64: None) -> None:
    reward = GivenReward(lambda state, action, next_state: next_state.q[0] * action[0])
    policy, transition = randomly_trained(small_actor_critic()).policy, swing()
    starts = State(jnp.asarray([[0.3], [-2.0]]), jnp.asarray([[0.0], [1.0]]))

    @jax.jit
    def one(state: State) -> tuple[State, Array]:
        action = policy.mode(state)
        return transition.step(state, action), action

    total = 0.0
    for i in range(2):
        state = State(*(np.asarray(x)[i] for x in starts))
        for _ in range(7):
            state, action = one(state)
            total += state.q.item() * action.item() / 2
    world = WorldModel(transition, reward)
    found = eqx.filter_jit(imagined_return)(policy, world, starts, 7)
    np.testing.assert_allclose(found, total, rtol=1e-6)
