import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..mechanics import AbstractDynamics, Coordinates
from ._activation import Activation, softplus
from ._network import Network
from ._scales import positive_scales


class NeuralODE(AbstractDynamics):
    """Second-order neural ODE: one black-box network for the acceleration.

        qdd = acceleration_scale * network(embed(q), qd / velocity_scale, action)

    It is the black-box counterpart of a learned Lagrangian (Chen et al. 2018), and the
    baseline of Cranmer et al. (2020). Positions are integrals of velocities, but no quantity
    is conserved.

    **Arguments:**

    - `coordinates`: which coordinates are angles; the network takes an angle as
        `(cos, sin)`.
    - `action_size`: number of actions, `m`.
    - `hidden`: widths of the hidden layers.
    - `activation`: elementwise activation function.
    - `velocity_scale`: divisor of each velocity in the network's input, length `n`, m/s or
        rad/s; ones by default.
    - `acceleration_scale`: factor of each output, length `n`, m/s^2 or rad/s^2; ones by
        default.
    - `key`: PRNG key of the initial weights.

    **Raises:** `ValueError` if a scale does not have `n` entries, all positive.
    """

    network: Network
    coordinates: Coordinates
    velocity_scale: tuple[float, ...] = eqx.field(static=True)
    acceleration_scale: tuple[float, ...] = eqx.field(static=True)

    def __init__(
        self,
        coordinates: Coordinates,
        action_size: int,
        *,
        hidden: tuple[int, ...] = (128, 128),
        activation: Activation = softplus,
        velocity_scale: tuple[float, ...] | None = None,
        acceleration_scale: tuple[float, ...] | None = None,
        key: PRNGKeyArray,
    ):
        self.velocity_scale = positive_scales("velocity_scale", velocity_scale, coordinates.n)
        self.acceleration_scale = positive_scales(
            "acceleration_scale", acceleration_scale, coordinates.n
        )
        in_size = coordinates.embedding_size + coordinates.n + action_size
        self.network = Network(
            in_size, coordinates.n, hidden, activation, output_scale=0.1, key=key
        )
        self.coordinates = coordinates

    def forward_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], action: Float[Array, " m"]
    ) -> Float[Array, " n"]:
        v = qd / jnp.asarray(self.velocity_scale, qd.dtype)
        qdd = self.network(jnp.concatenate([self.coordinates.embed(q), v, action]))
        return jnp.asarray(self.acceleration_scale, qd.dtype) * qdd
