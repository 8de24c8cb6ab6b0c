import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Scalar

from ..mechanics import (
    AbstractHamiltonian,
    AbstractMomentumMap,
    Coordinates,
    VelocityMomentum,
)
from ._activation import Activation, softplus
from ._network import Network


class HNN(AbstractHamiltonian):
    """Hamiltonian neural network: one network for `H` of unrestricted form.

        H(q, p) = network(embed(q), p) + regulariser p.p

    It requires canonical momenta (Greydanus et al. 2019). Pass `momentum_map` if the map from
    velocities to momenta is known. By default, velocities are used as momenta. This fails if
    the mass matrix is not constant or the kinetic energy is not quadratic (Cranmer et al.
    2020, figure 3).

    **Arguments:**

    - `coordinates`: which coordinates are angles; the network takes an angle as
        `(cos, sin)`.
    - `momentum_map`: map between velocities and momenta, a
        [`lagdyna.mechanics.AbstractMomentumMap`][].
    - `hidden`: widths of the hidden layers.
    - `activation`: elementwise and twice differentiable.
    - `regulariser`: half of a constant inverse mass that is added to `H`, 1/kg or
        1/(kg m^2). Use 0 for a pure network.
    - `key`: PRNG key of the initial weights.

    **Raises:** `ValueError` if a width is not positive or `regulariser` is negative.
    """

    network: Network
    coordinates: Coordinates
    momentum_map: AbstractMomentumMap
    regulariser: float = eqx.field(static=True)

    def __init__(
        self,
        coordinates: Coordinates,
        *,
        momentum_map: AbstractMomentumMap = VelocityMomentum(),
        hidden: tuple[int, ...] = (128, 128),
        activation: Activation = softplus,
        regulariser: float = 0.5,
        key: PRNGKeyArray,
    ):
        if min(hidden, default=1) < 1:
            raise ValueError(f"`hidden` widths must be positive, got {hidden}")
        if regulariser < 0:
            raise ValueError(f"`regulariser` must not be negative, got {regulariser}")
        in_size = coordinates.embedding_size + coordinates.n
        self.network = Network(in_size, 1, hidden, activation, output_scale=0.1, key=key)
        self.coordinates = coordinates
        self.momentum_map = momentum_map
        self.regulariser = float(regulariser)

    def __call__(self, q: Float[Array, " n"], p: Float[Array, " n"]) -> Scalar:
        x = jnp.concatenate([self.coordinates.embed(q), p])
        return self.network(x)[0] + self.regulariser * (p @ p)

    def momentum(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        return self.momentum_map.momentum(q, qd)

    def velocity(self, q: Float[Array, " n"], p: Float[Array, " n"]) -> Float[Array, " n"]:
        return self.momentum_map.velocity(q, p)
