import math

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Scalar

from ..mechanics import AbstractRigidBody, Coordinates
from ._activation import Activation, softplus
from ._network import Network
from ._triangular import inverse_softplus, triangular


class DeLaN(AbstractRigidBody):
    """Deep Lagrangian network: a rigid body whose mass matrix and potential are learned.

    One network gives the entries of the triangular factor `F(q)` of `M = F F'`, another the
    potential `V(q)`. The diagonal of `F` is a softplus plus `min_diagonal`, so `M` is
    symmetric positive definite for every value of the weights, trained or not (Lutter et
    al. 2019). The triangle is the upper one, the paper's the lower: along a chain of links
    the last column of the upper factor is the last column of `M` over the root of a constant,
    where the lower one begins with the root of what depends on every angle.

    **Arguments:**

    - `coordinates`: which coordinates are angles; networks see those as `(cos, sin)`.
    - `hidden`: widths of each network's hidden layers.
    - `activation`: must be twice differentiable, since accelerations are made of first
        derivatives and training differentiates them again.
    - `initial_mass`: the diagonal of `M` before training, kg or kg m^2, shape `()` or
        `(n,)`. The right order of magnitude helps.
    - `min_diagonal`: lower bound of the diagonal of `F`.
    - `key`: for the initial weights.

    **Raises:** `ValueError` if a size, `initial_mass` or `min_diagonal` is not positive.
    """

    factor_network: Network
    potential_network: Network
    coordinates: Coordinates
    shift: tuple[float, ...] = eqx.field(static=True)
    min_diagonal: float = eqx.field(static=True)

    def __init__(
        self,
        coordinates: Coordinates,
        *,
        hidden: tuple[int, ...] = (64, 64),
        activation: Activation = softplus,
        initial_mass: float | tuple[float, ...] = 1.0,
        min_diagonal: float = 1e-3,
        key: PRNGKeyArray,
    ):
        n, embedding = coordinates.n, coordinates.embedding_size
        mass = np.asarray(initial_mass, np.float64)
        if mass.shape not in ((), (n,)):
            raise ValueError(
                f"`initial_mass` must be a number or {n} of them, got {initial_mass}"
            )
        mass = np.broadcast_to(mass, (n,))
        if min(hidden, default=1) < 1:
            raise ValueError(f"`hidden` widths must be positive, got {hidden}")
        if min_diagonal <= 0 or mass.min() <= min_diagonal**2:
            raise ValueError(
                "`min_diagonal` must be positive and `initial_mass` above its square, "
                f"got {min_diagonal} and {initial_mass}"
            )
        factor_key, potential_key = jax.random.split(key)
        self.factor_network = Network(
            embedding,
            n * (n + 1) // 2,
            hidden,
            activation,
            output_scale=0.1,
            key=factor_key,
        )
        self.potential_network = Network(
            embedding, 1, hidden, activation, output_scale=0.1, key=potential_key
        )
        self.coordinates = coordinates
        # softplus(shift) + min_diagonal = sqrt(initial_mass)
        self.shift = tuple(inverse_softplus(math.sqrt(m) - min_diagonal) for m in mass)
        self.min_diagonal = min_diagonal

    def mass_factor(self, q: Float[Array, " n"]) -> Float[Array, "n n"]:
        entries = self.factor_network(self.coordinates.embed(q))
        return triangular(
            entries, self.coordinates.n, self.shift, self.min_diagonal, upper=True
        )

    def potential_energy(self, q: Float[Array, " n"]) -> Scalar:
        return self.potential_network(self.coordinates.embed(q))[0]
