import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Scalar

from ..mechanics import Coordinates, State
from ._activation import Activation, softplus
from ._network import Network
from ._scales import scaled


class AbstractReward(eqx.Module):
    """Reward function `(state, action, next_state) -> reward`."""

    @abc.abstractmethod
    def __call__(self, state: State, action: Float[Array, " m"], next_state: State) -> Scalar:
        """Compute the reward of a transition.

        **Arguments:**

        - `state`: the state in which the action is taken.
        - `action`: control in `[-1, 1]^m`, shape `(m,)`.
        - `next_state`: the state that follows.

        **Returns:** the reward, a scalar.
        """


RewardFn = Callable[[State, Float[Array, " m"], State], Scalar]
"""Known reward: a differentiable function of `(state, action, next_state)`."""


class GivenReward(AbstractReward):
    """Known reward, given as a differentiable JAX function, without trainable leaves.

    **Arguments:**

    - `function`: maps `(state, action, next_state)` to a scalar.
    """

    function: RewardFn = eqx.field(static=True)

    def __call__(self, state: State, action: Float[Array, " m"], next_state: State) -> Scalar:
        return self.function(state, action, next_state)


class RewardNetwork(AbstractReward):
    """Learned reward: a network over features of the transition.

    The inputs are both states, the action, and the squares of velocities and actions. Control
    costs are often quadratic in these, so the linear part of the network can represent them
    from little data.

    For an arm that reaches for a target, the distance from tip to target takes the place of
    all coordinates. A reward learned near one target then applies to all targets.

    **Arguments:**

    - `coordinates`: which coordinates are angles, and the links of an arm.
    - `action_size`: number of actions, `m`.
    - `velocity_scale`: divisor of each velocity in the input, length `n`, m/s or rad/s.
    - `position_scale`: divisor of each coordinate in the input, length `n`, 1 for an angle;
        ones by default.
    - `hidden`: widths of the hidden layers.
    - `activation`: elementwise activation function.
    - `key`: PRNG key of the initial weights.
    """

    network: Network
    coordinates: Coordinates
    velocity_scale: tuple[float, ...] = eqx.field(static=True)
    position_scale: tuple[float, ...] | None = eqx.field(static=True)
    location: Float[Array, ""]
    scale: Float[Array, ""]

    def __init__(
        self,
        coordinates: Coordinates,
        action_size: int,
        velocity_scale: tuple[float, ...],
        *,
        position_scale: tuple[float, ...] | None = None,
        hidden: tuple[int, ...] = (64, 64),
        activation: Activation = softplus,
        key: PRNGKeyArray,
    ):
        positions = 1 if coordinates.link_lengths else coordinates.embedding_size
        features = 2 * positions + 4 * coordinates.n + 2 * action_size
        self.network = Network(features, 1, hidden, activation, output_scale=0.1, key=key)
        self.coordinates = coordinates
        self.velocity_scale = velocity_scale
        self.position_scale = position_scale
        self.location = jnp.zeros(())
        self.scale = jnp.ones(())

    def __call__(self, state: State, action: Float[Array, " m"], next_state: State) -> Scalar:
        scale = jnp.asarray(self.velocity_scale, action.dtype)
        parts = [action, action**2]
        for q, qd in (state, next_state):
            v = qd / scale
            parts += [self._positions(scaled(q, self.position_scale)), v, v**2]
        # The location and scale of the reward are set from data, not trained.
        location, unit = jax.lax.stop_gradient((self.location, self.scale))
        return location + unit * self.network(jnp.concatenate(parts))[0]

    def _positions(self, q: Float[Array, " n"]) -> Float[Array, " features"]:
        if self.coordinates.link_lengths:
            return self.coordinates.to_target(q)[-1:]
        return self.coordinates.embed(q)
