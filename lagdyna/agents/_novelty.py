import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Scalar

from ..data import ReplayBuffer
from ..mechanics import State
from ..models import AbstractReward
from ._networks import Features


class NoveltyReward(AbstractReward):
    """Reward for states unlike visited ones, until two observed rewards differ.

    Until a reward differs from the others, a policy has nothing to learn from. This reward is
    the logarithm of a density instead, scaled so that it is 1 where no state was visited and
    near 0 where all were:

    `-log(density + e) / log(1 / e)`, with `e = 0.001`.

    A policy that maximises it spreads the visited states evenly, the aim of Hazan et al. (2019,
    "Provably efficient maximum entropy exploration"). The density is that of a
    kernel estimate: the mean of `exp(-d^2 / 2)` over visited states, where `d` is the distance
    of their features in units of the kernel's width. The width is `0.2` for one coordinate and
    `0.04^(1 / (2 n))` for `n`, so that a kernel always fills the same part of the state space.

    **Arguments:**

    - `reward`: the reward that applies once rewards differ.
    - `features`: the space in which states are compared, of the first coordinates of a state.
        These are the ones that move.
    - `visited`: features of visited states.
    - `exploring`: whether all rewards so far are equal.
    """

    reward: AbstractReward
    features: Features
    visited: Float[Array, "visited features"]
    exploring: Bool[Array, ""]

    @classmethod
    def of_buffer(
        cls, reward: AbstractReward, features: Features, buffer: ReplayBuffer
    ) -> "NoveltyReward":
        """Compare states with those of a replay buffer.

        **Arguments:** `reward` and `features`, as above; `buffer`, from which at most 512
        states are taken, spread evenly over it.
        """
        slots = (jnp.arange(_VISITED) * jnp.maximum(buffer.size, 1)) // _VISITED
        states = jax.tree.map(lambda x: x[slots], buffer.experience.next_state)
        visited = jax.vmap(lambda state: _features(features, state))(states)
        return cls(reward, features, visited, rewards_are_equal(buffer))

    def novelty(self, state: State) -> Scalar:
        """Compute how far a state is from the visited ones, from 0 to 1."""
        width = _KERNEL ** (1 / (2 * self.features.coordinates.n))
        distances = (self.visited - _features(self.features, state)) / width
        density = jnp.mean(jnp.exp(-0.5 * jnp.sum(distances**2, axis=-1)))
        return jnp.log(density + _SMOOTHING) / math.log(_SMOOTHING)

    def __call__(self, state: State, action: Float[Array, " m"], next_state: State) -> Scalar:
        # One of the two is computed, since the density is costly.
        return jax.lax.cond(
            self.exploring,
            lambda: self.novelty(next_state),
            lambda: self.reward(state, action, next_state),
        )


def _features(features: Features, state: State) -> Float[Array, " features"]:
    n = features.coordinates.n
    return features(State(state.q[:n], state.qd[:n]))


def rewards_are_equal(buffer: ReplayBuffer) -> Bool[Array, ""]:
    """Whether all rewards in a buffer are equal, up to rounding; true for an empty buffer.

    Rewards whose difference is at most `1e-5 (1 + |r|)`, with `r` the largest, count as equal.
    """
    rewards = buffer.experience.reward
    counted = buffer.filled & jnp.isfinite(rewards)
    highest = jnp.max(rewards, where=counted, initial=-jnp.inf)
    lowest = jnp.min(rewards, where=counted, initial=jnp.inf)
    return ~(highest - lowest > _ROUNDING * (1 + jnp.abs(highest)))


_VISITED = 512
_KERNEL = 0.04  # product of the kernel's widths over all positions and velocities
_SMOOTHING = 1e-3
_ROUNDING = 1e-5
