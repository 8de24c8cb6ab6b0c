import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Scalar

from ..mechanics import AbstractHamiltonian, Coordinates, linalg
from ._activation import Activation, softplus
from ._network import Network
from ._triangular import inverse_softplus, triangular


class StructuredHNN(AbstractHamiltonian):
    """Hamiltonian network of a rigid body: learned inverse mass matrix and potential.

        H(q, p) = 1/2 p' M(q)^-1 p + V(q),    M^-1 = G G'

    One network outputs the lower triangular `G(q)`, with a positive diagonal by construction.
    Another outputs `V(q)`. `G` determines the momentum of a velocity, so the model trains on
    velocities, like [`lagdyna.models.DeLaN`][] (Zhong et al. 2020; Lutter & Peters 2023).

    **Arguments:**

    - `coordinates`: which coordinates are angles; the networks take an angle as
        `(cos, sin)`.
    - `hidden`: widths of the hidden layers of each network.
    - `activation`: elementwise and twice differentiable.
    - `initial_mass`: the diagonal of `M` before training, kg or kg m^2, shape `()` or
        `(n,)`.
    - `min_diagonal`: lower bound of the diagonal of `G`.
    - `key`: PRNG key of the initial weights.

    **Raises:** `ValueError` if a size, `initial_mass` or `min_diagonal` is not positive, or if
    `initial_mass` is not below `1 / min_diagonal^2`.
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
        mass = np.broadcast_to(np.asarray(initial_mass, np.float64), (n,))
        if min(hidden, default=1) < 1:
            raise ValueError(f"`hidden` widths must be positive, got {hidden}")
        if min_diagonal <= 0 or mass.min() <= 0 or mass.max() >= min_diagonal**-2:
            raise ValueError(
                "`min_diagonal` must be positive and `initial_mass` positive and below "
                f"1 / min_diagonal^2, got {min_diagonal} and {initial_mass}"
            )
        factor_key, potential_key = jax.random.split(key)
        self.factor_network = Network(
            embedding, n * (n + 1) // 2, hidden, activation, output_scale=0.1, key=factor_key
        )
        self.potential_network = Network(
            embedding, 1, hidden, activation, output_scale=0.1, key=potential_key
        )
        self.coordinates = coordinates
        # softplus(shift) + min_diagonal = 1 / sqrt(initial_mass)
        self.shift = tuple(inverse_softplus(1 / math.sqrt(m) - min_diagonal) for m in mass)
        self.min_diagonal = min_diagonal

    def inverse_factor(self, q: Float[Array, " n"]) -> Float[Array, "n n"]:
        """Compute the lower triangular `G(q)` of `M^-1 = G G'`, shape `(n, n)`.

        The diagonal of `G` is positive.
        """
        entries = self.factor_network(self.coordinates.embed(q))
        return triangular(entries, self.coordinates.n, self.shift, self.min_diagonal)

    def potential_energy(self, q: Float[Array, " n"]) -> Scalar:
        """Compute the potential energy `V(q)`, joules."""
        return self.potential_network(self.coordinates.embed(q))[0]

    def __call__(self, q: Float[Array, " n"], p: Float[Array, " n"]) -> Scalar:
        return 0.5 * jnp.sum((self.inverse_factor(q).T @ p) ** 2) + self.potential_energy(q)

    def momentum(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        return linalg.cholesky_solve(self.inverse_factor(q), qd)

    def velocity(self, q: Float[Array, " n"], p: Float[Array, " n"]) -> Float[Array, " n"]:
        factor = self.inverse_factor(q)
        return factor @ (factor.T @ p)
