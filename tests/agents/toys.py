"""Small models, agents and buffers that the tests of this folder share."""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Scalar

from lagdyna.agents import (
    ActorCritic,
    Features,
    ImaginationActorCritic,
    Phase,
    uniform_states,
)
from lagdyna.data import Experience, ReplayBuffer
from lagdyna.mechanics import Coordinates, Limits, State
from lagdyna.models import AbstractReward, AbstractTermination, NoTermination, RewardNetwork
from lagdyna.simulate import AbstractTransition, WorldModel

from ..helpers import PENDULUM, randomised, shape_of

FEATURES = Features(PENDULUM, (4.0,))
BATCH = 6
# Made once: two Optax transformations are never equal, and each new one compiles again.
PLAIN, ADAM = optax.sgd(1.0), optax.adam(1e-2)


class Swing(AbstractTransition):
    """A driven pendulum by explicit Euler steps; its strength is a trainable leaf."""

    coordinates: Coordinates
    strength: Float[Array, ""]

    def step(self, state: State, action: Float[Array, " m"]) -> State:
        force = self.strength * jnp.sin(state.q) + 2 * action
        return State(state.q + 0.1 * state.qd, state.qd + 0.1 * force)


class OddReward(AbstractReward):
    """A reward that can break an update: `constant`, `slope` and `root` are leaves."""

    constant: Float[Array, ""]
    slope: Float[Array, ""]
    root: Float[Array, ""]

    def __call__(self, state: State, action: Float[Array, " m"], next_state: State) -> Scalar:
        # With `root` 0 the last term is 0, and of slope 0 times infinity.
        return self.constant + self.slope * action[0] + jnp.sqrt(self.root + 0 * action[0])


def swing(strength: float = 3.0) -> Swing:
    return Swing(PENDULUM, jnp.asarray(strength))


@functools.cache
def _reward() -> RewardNetwork:
    return shape_of(RewardNetwork, PENDULUM, 1, (4.0,), hidden=(6,))


def random_reward() -> RewardNetwork:
    reward = randomised(_reward(), 4, 0.5)
    return eqx.tree_at(
        lambda r: (r.location, r.scale), reward, (jnp.asarray(-1.0), jnp.asarray(2.0))
    )


def odd(constant: float = 0.0, slope: float = 0.0, root: float = 1.0) -> OddReward:
    """A reward of 0 by default."""
    return OddReward(*(jnp.asarray(x) for x in (constant - root**0.5, slope, root)))


def swing_world(
    reward: AbstractReward | None = None,
    termination: AbstractTermination = NoTermination(),
) -> WorldModel:
    return WorldModel(swing(), random_reward() if reward is None else reward, termination)


@eqx.filter_jit
def some_starts() -> State:
    return uniform_states(jax.random.key(0), BATCH, Limits((3.0,), (4.0,)))


def small_actor_critic(**changes: Any) -> ImaginationActorCritic:
    options: dict[str, Any] = {
        "features": FEATURES,
        "action_size": 1,
        "hidden": (6,),
        "activation": jnp.tanh,
        "horizon": 5,
        "reset_fraction": 1.0,
        "limits": Limits((10.0,), (100.0,)),
        "discount": 0.9,
        "return_lambda": 0.8,
        "entropy": 0.1,
        "critics": 2,
        "target_rate": 0.25,
        "policy_optimiser": PLAIN,
        "critic_optimiser": PLAIN,
    }
    return ImaginationActorCritic(**{**options, **changes})


@functools.cache
def untrained(agent: ImaginationActorCritic) -> ActorCritic:
    return eqx.filter_jit(agent.init)(jax.random.key(0), BATCH)


def randomly_trained(agent: ImaginationActorCritic, seed: int = 5) -> ActorCritic:
    """A state in the middle of learning: all weights random, targets unlike critics."""
    state = untrained(agent)
    return eqx.tree_at(
        lambda s: (s.policy, s.critics, s.targets),
        state,
        (
            randomised(state.policy, seed, 0.4),
            randomised(state.critics, seed + 1, 0.4),
            randomised(state.targets, seed + 2, 0.4),
        ),
    )


def weights(model: Any) -> Float[np.ndarray, " weights"]:
    """All weights in one vector, in the order of `ravel_pytree`."""
    leaves = jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))
    return np.concatenate([np.ravel(leaf) for leaf in leaves])


def phase(number: int, chunk: int = 0, seed: int = 0) -> Phase:
    return Phase(jnp.asarray(seed, jnp.uint32), jnp.asarray(number), jnp.asarray(chunk))


def numbered_buffer(filled: int, rewards: float = 0.0) -> ReplayBuffer:
    """A buffer of 10 for one coordinate; entry `i` has position `100 + i`."""
    return _numbered_buffer(filled, jnp.asarray(rewards))


@eqx.filter_jit
def _numbered_buffer(filled: int, reward: Array) -> ReplayBuffer:
    q = 100.0 + jnp.arange(float(filled))[:, None]
    experience = Experience(
        State(q, -q),
        jnp.zeros((filled, 1)),
        jnp.full(filled, reward),
        State(q + 0.5, q),
        jnp.zeros(filled, bool),
    )
    return ReplayBuffer.empty(10, 1, 1).add(experience, jnp.asarray(0))


def two_episodes() -> ReplayBuffer:
    """Two episodes of four entries, which begin at 100 and 104."""
    episodes = jnp.asarray(np.arange(10) // 4)
    return eqx.tree_at(lambda b: b.episode, numbered_buffer(8), episodes)
