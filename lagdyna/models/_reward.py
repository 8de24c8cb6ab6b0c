import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Scalar

from ..mechanics import Coordinates, State
from ._activation import Activation, softplus
from ._network import Network


class AbstractReward(eqx.Module):
    """What an action pays: `(state, action, next_state) -> reward`."""

    @abc.abstractmethod
    def __call__(self, state: State, action: Float[Array, " m"], next_state: State) -> Scalar:
        """The reward of `action` in `state`, which led to `next_state`."""


class GivenReward(AbstractReward):
    """A reward that is known, as a differentiable JAX function. It has nothing to learn.

    **Arguments:**

    - `function`: of `(state, action, next_state)`.
    """

    function: Callable[[State, Float[Array, " m"], State], Scalar] = eqx.field(static=True)

    def __call__(self, state: State, action: Float[Array, " m"], next_state: State) -> Scalar:
        return self.function(state, action, next_state)


class RewardNetwork(AbstractReward):
    """A learned reward: a network with a linear part over physical features.

    Sees both states and the action, each with the squares of what control tasks usually
    charge for, velocity and effort, so that those need not be learned from little data.

    **Arguments:**

    - `coordinates`: which coordinates are angles.
    - `action_size`: `m`.
    - `velocity_scale`: the magnitude that each velocity is divided by, length `n`.
    - `hidden`: widths of the hidden layers.
    - `activation`: elementwise.
    - `key`: for the initial weights.
    """

    network: Network
    coordinates: Coordinates
    velocity_scale: tuple[float, ...] = eqx.field(static=True)
    location: Float[Array, ""]
    scale: Float[Array, ""]

    def __init__(
        self,
        coordinates: Coordinates,
        action_size: int,
        velocity_scale: tuple[float, ...],
        *,
        hidden: tuple[int, ...] = (64, 64),
        activation: Activation = softplus,
        key: PRNGKeyArray,
    ):
        features = 2 * coordinates.embedding_size + 4 * coordinates.n + 2 * action_size
        self.network = Network(features, 1, hidden, activation, output_scale=0.1, key=key)
        self.coordinates = coordinates
        self.velocity_scale = velocity_scale
        self.location = jnp.zeros(())
        self.scale = jnp.ones(())

    def __call__(self, state: State, action: Float[Array, " m"], next_state: State) -> Scalar:
        scale = jnp.asarray(self.velocity_scale, action.dtype)
        parts = [action, action**2]
        for q, qd in (state, next_state):
            v = qd / scale
            parts += [self.coordinates.embed(q), v, v**2]
        # The reward's location and scale are set from data, not learned.
        location, unit = jax.lax.stop_gradient((self.location, self.scale))
        return location + unit * self.network(jnp.concatenate(parts))[0]
