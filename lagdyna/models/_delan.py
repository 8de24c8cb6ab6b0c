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
    """Deep Lagrangian network: rigid body with a learned mass matrix and potential.

    One network outputs the entries of the triangular factor `F(q)` of `M = F F'`. Another
    network outputs the potential `V(q)`. The diagonal of `F` is a softplus plus
    `min_diagonal`, so `M` is symmetric positive definite for all weights (Lutter et al. 2019).

    The factor is upper triangular; the paper uses a lower one. For a chain of links, the last
    column of the upper factor is the last column of `M` divided by a constant. The first
    entry of the lower factor is the root of an expression in all angles.

    **Arguments:**

    - `coordinates`: which coordinates are angles; the networks take an angle as
        `(cos, sin)`.
    - `hidden`: widths of the hidden layers of each network.
    - `activation`: elementwise and twice differentiable. Accelerations use first derivatives,
        and training differentiates them again.
    - `initial_mass`: the diagonal of `M` before training, kg or kg m^2, shape `()` or
        `(n,)`. A value of the right order of magnitude helps training.
    - `min_diagonal`: lower bound of the diagonal of `F`.
    - `key`: PRNG key of the initial weights.

    **Raises:** `ValueError` if a size or `min_diagonal` is not positive, or if `initial_mass`
    has another shape or is not greater than `min_diagonal^2`.
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
                f"`initial_mass` must be one number or {n} numbers, got {initial_mass}"
            )
        mass = np.broadcast_to(mass, (n,))
        if min(hidden, default=1) < 1:
            raise ValueError(f"`hidden` widths must be positive, got {hidden}")
        if min_diagonal <= 0 or mass.min() <= min_diagonal**2:
            raise ValueError(
                "`min_diagonal` must be positive and `initial_mass` greater than "
                f"min_diagonal^2, got {min_diagonal} and {initial_mass}"
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
