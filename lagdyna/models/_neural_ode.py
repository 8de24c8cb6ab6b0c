import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..mechanics import AbstractDynamics, Coordinates
from ._activation import Activation, softplus
from ._magnitudes import magnitudes
from ._network import Network


class NeuralODE(AbstractDynamics):
    """A second-order neural ODE: one network for the acceleration, no mechanics.

        qdd = scale network(embed(q), qd / velocity_scale, action)

    The black-box counterpart of a learned Lagrangian (Chen et al. 2018; the baseline of
    Cranmer et al. 2020): positions still follow from velocities, nothing is conserved.

    **Arguments:**

    - `coordinates`: which coordinates are angles; the network sees those as `(cos, sin)`.
    - `action_size`: `m`.
    - `hidden`: widths of the hidden layers.
    - `activation`: elementwise.
    - `velocity_scale`: the magnitude that each velocity is divided by, length `n`; ones
        by default.
    - `acceleration_scale`: the magnitude of each acceleration, length `n`; ones by default.
    - `key`: for the initial weights.

    **Raises:** `ValueError` if a scale's length is not `n` or an entry not positive.
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
        self.velocity_scale = magnitudes("velocity_scale", velocity_scale, coordinates.n)
        self.acceleration_scale = magnitudes(
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
