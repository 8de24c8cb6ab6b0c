"""The actor-critic by itself, in the true model with the true reward."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jaxtyping import Array, Float, Scalar

from lagdyna.agents import ActorCritic, Features, ImaginationActorCritic, uniform_states
from lagdyna.mechanics import Limits, State
from lagdyna.models import GivenReward
from lagdyna.simulate import SolvedTransition, WorldModel

from ..helpers import PENDULUM, pendulum_field


def pendulum_reward(state: State, action: Float[Array, " m"], next_state: State) -> Scalar:
    """The reward of `Pendulum-v1`, whose torque is 2."""
    angle = PENDULUM.wrap(state.q)[0]
    return -(angle**2 + 0.1 * state.qd[0] ** 2 + 0.001 * (2 * action[0]) ** 2)


def true_pendulum() -> SolvedTransition:
    return SolvedTransition(
        pendulum_field(),
        PENDULUM,
        0.05,
        solver="semi_implicit_euler",
        velocity_limits=(8.0,),
    )


@pytest.fixture(scope="module")
def learned() -> tuple[ActorCritic, dict[str, np.ndarray]]:
    rate = optax.chain(optax.clip_by_global_norm(100.0), optax.adam(3e-3))
    agent = ImaginationActorCritic(
        features=Features(PENDULUM, (4.0,)),
        action_size=1,
        hidden=(32, 32),
        activation=jnp.tanh,
        horizon=16,
        reset_fraction=1.0,
        limits=Limits((10.0,), (30.0,)),
        discount=0.99,
        return_lambda=0.95,
        entropy=1e-3,
        critics=1,
        target_rate=0.02,
        policy_optimiser=rate,
        critic_optimiser=rate,
    )
    world = WorldModel(true_pendulum(), GivenReward(pendulum_reward))

    @jax.jit
    def learn(arrays: Any, keys: Array) -> tuple[Any, dict[str, Array]]:
        def body(arrays: Any, key: Array) -> tuple[Any, dict[str, Array]]:
            start_key, key = jax.random.split(key)
            starts = uniform_states(start_key, 64, Limits((math.pi,), (8.0,)))
            state, metrics = agent.update(
                eqx.combine(arrays, static), world, starts, jnp.asarray(8.0), key=key
            )
            return eqx.filter(state, eqx.is_array), metrics

        return jax.lax.scan(body, arrays, keys)

    first = eqx.filter_jit(agent.init)(jax.random.key(0), 64)
    arrays, static = eqx.partition(first, eqx.is_array)
    arrays, metrics = learn(arrays, jax.random.split(jax.random.key(1), 800))
    return eqx.combine(arrays, static), jax.tree.map(np.asarray, metrics)


def returns_of(act: Any) -> np.ndarray:
    """Returns of whole episodes of the true pendulum, from Gymnasium's starts."""
    transition = true_pendulum()

    def episode(start: State) -> Scalar:
        def body(state: State, _: None) -> tuple[State, Scalar]:
            action = act(state)
            next_state = transition.step(state, action)
            return next_state, pendulum_reward(state, action, next_state)

        return jnp.sum(jax.lax.scan(body, start, None, length=200)[1])

    starts = uniform_states(jax.random.key(2), 100, Limits((math.pi,), (1.0,)))
    return np.asarray(jax.jit(jax.vmap(episode))(starts))


def test_the_policy_swings_the_true_pendulum_up(learned: tuple[ActorCritic, Any]) -> None:
    zero = returns_of(lambda state: jnp.zeros(1))
    trained = returns_of(learned[0].policy.mode)
    assert zero.mean() < -900
    assert trained.mean() > -300


def test_no_update_was_skipped(learned: tuple[ActorCritic, dict[str, np.ndarray]]) -> None:
    metrics = learned[1]
    assert metrics["skipped"].sum() == 0
    assert all(np.all(np.isfinite(values)) for values in metrics.values())
