import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray, Scalar

from ..mechanics import Coordinates, State
from ._activation import Activation, softplus
from ._network import Network
from ._scales import scaled


class AbstractTermination(eqx.Module):
    """Termination function `state -> probability`."""

    @abc.abstractmethod
    def __call__(self, state: State) -> Scalar:
        """Compute the probability that an episode terminates in `state`."""


class NoTermination(AbstractTermination):
    """No termination: the probability is 0. It has no trainable leaves."""

    def __call__(self, state: State) -> Scalar:
        return jnp.zeros((), state.q.dtype)


class BoundTermination(AbstractTermination):
    """Known termination: a coordinate's magnitude exceeds its bound.

    The probability is a logistic function of the distance from the bound, and 1/2 at the
    bound. It is smooth, so that an agent can use its gradients. There are no trainable leaves.

    **Arguments:**

    - `bounds`: bound of each coordinate, length `n`, metres or radians; infinite if there is
        none.
    - `width`: width of the logistic function, as a fraction of the bound.

    **Raises:** `ValueError` if a bound or `width` is not positive, or if no bound is finite.
    """

    bounds: tuple[float, ...] = eqx.field(static=True)
    width: float = eqx.field(static=True, default=0.02)

    def __check_init__(self):
        if not (self.width > 0 and all(bound > 0 for bound in self.bounds)):
            raise ValueError(
                f"`bounds` and `width` must be positive, got {self.bounds} and {self.width}"
            )
        if not np.any(np.isfinite(self.bounds)):
            raise ValueError(
                "`bounds` are all infinite; give a finite bound, or use `NoTermination`"
            )

    def __call__(self, state: State) -> Scalar:
        bounds = np.asarray(self.bounds)
        finite = np.isfinite(bounds)
        bound = jnp.asarray(bounds[finite], state.q.dtype)
        excess = jnp.abs(state.q[finite]) - bound
        # The bound that is exceeded most determines the probability.
        return jnp.max(jax.nn.sigmoid(excess / (self.width * bound)))


class TerminationNetwork(AbstractTermination):
    """Learned termination: a classifier of states.

    Its inputs are the features of a state that [`lagdyna.models.RewardNetwork`][] uses.

    **Arguments:**

    - `coordinates`: which coordinates are angles.
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

    def __init__(
        self,
        coordinates: Coordinates,
        velocity_scale: tuple[float, ...],
        *,
        position_scale: tuple[float, ...] | None = None,
        hidden: tuple[int, ...] = (64, 64),
        activation: Activation = softplus,
        key: PRNGKeyArray,
    ):
        features = coordinates.embedding_size + 2 * coordinates.n
        self.network = Network(features, 1, hidden, activation, output_scale=0.1, key=key)
        self.coordinates = coordinates
        self.velocity_scale = velocity_scale
        self.position_scale = position_scale

    def logit(self, state: State) -> Scalar:
        """Compute the logit of the probability that an episode terminates in `state`."""
        v = state.qd / jnp.asarray(self.velocity_scale, state.qd.dtype)
        return self.network(
            jnp.concatenate(
                [self.coordinates.embed(scaled(state.q, self.position_scale)), v, v**2]
            )
        )[0]

    def __call__(self, state: State) -> Scalar:
        return jax.nn.sigmoid(self.logit(state))
