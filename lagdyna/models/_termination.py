import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray, Scalar

from ..mechanics import Coordinates, State
from ._activation import Activation, softplus
from ._network import Network


class AbstractTermination(eqx.Module):
    """Where an environment ends its episodes for good: `state -> probability`."""

    @abc.abstractmethod
    def __call__(self, state: State) -> Scalar:
        """The probability that an episode that reaches `state` ends there."""


class NoTermination(AbstractTermination):
    """Nothing ends an episode but its time. It has nothing to learn."""

    def __call__(self, state: State) -> Scalar:
        return jnp.zeros((), state.q.dtype)


class BoundTermination(AbstractTermination):
    """An episode ends when a coordinate's magnitude exceeds a bound. Nothing is learned.

    The edge is smooth, a logistic function of width `width`, so that an agent that learns
    by gradients sees it coming. At the bound itself the probability is a half.

    **Arguments:**

    - `bounds`: the bound of each coordinate, length `n`, infinite where there is none.
    - `width`: as a fraction of the bound.

    **Raises:** `ValueError` if a bound or `width` is not positive, or no bound is finite.
    """

    bounds: tuple[float, ...] = eqx.field(static=True)
    width: float = eqx.field(static=True, default=0.02)

    def __check_init__(self):
        if not (self.width > 0 and all(bound > 0 for bound in self.bounds)):
            raise ValueError(
                f"`bounds` and `width` must be positive, got {self.bounds} and {self.width}"
            )
        if not np.any(np.isfinite(self.bounds)):
            raise ValueError("`bounds` were all infinite: use `NoTermination`")

    def __call__(self, state: State) -> Scalar:
        bounds = np.asarray(self.bounds)
        finite = np.isfinite(bounds)
        bound = jnp.asarray(bounds[finite], state.q.dtype)
        beyond = jnp.abs(state.q[finite]) - bound
        # Of several bounds the one exceeded most decides.
        return jnp.max(jax.nn.sigmoid(beyond / (self.width * bound)))


class TerminationNetwork(AbstractTermination):
    """A learned termination: a classifier of states.

    It sees of a state what [`lagdyna.models.RewardNetwork`][] sees of the next one.

    **Arguments:**

    - `coordinates`: which coordinates are angles.
    - `velocity_scale`: the magnitude that each velocity is divided by, length `n`.
    - `hidden`: widths of the hidden layers.
    - `activation`: elementwise.
    - `key`: for the initial weights.
    """

    network: Network
    coordinates: Coordinates
    velocity_scale: tuple[float, ...] = eqx.field(static=True)

    def __init__(
        self,
        coordinates: Coordinates,
        velocity_scale: tuple[float, ...],
        *,
        hidden: tuple[int, ...] = (64, 64),
        activation: Activation = softplus,
        key: PRNGKeyArray,
    ):
        features = coordinates.embedding_size + 2 * coordinates.n
        self.network = Network(features, 1, hidden, activation, output_scale=0.1, key=key)
        self.coordinates = coordinates
        self.velocity_scale = velocity_scale

    def logit(self, state: State) -> Scalar:
        """The logarithm of the odds that an episode ends in `state`."""
        v = state.qd / jnp.asarray(self.velocity_scale, state.qd.dtype)
        return self.network(jnp.concatenate([self.coordinates.embed(state.q), v, v**2]))[0]

    def __call__(self, state: State) -> Scalar:
        return jax.nn.sigmoid(self.logit(state))
