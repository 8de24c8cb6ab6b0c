from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from ..mechanics import AbstractRigidBody, Coordinates, linalg


class DoublePendulum(AbstractRigidBody):
    """Double pendulum: two point masses on massless links.

    The coordinates `q` are the absolute angles of the links from hanging down, radians.

        L = 1/2 (m1 + m2) l1^2 qd1^2 + 1/2 m2 l2^2 qd2^2 + m2 l1 l2 qd1 qd2 cos(q1 - q2)
            + (m1 + m2) g l1 cos(q1) + m2 g l2 cos(q2)

    It is the benchmark of Cranmer et al. (2020), with masses and lengths 1. For relative
    angles from upright use [`lagdyna.systems.PlanarChain`][].

    **Arguments:** (all are trainable leaves)

    - `mass`: mass of each bob, kg, shape `(2,)`.
    - `length`: length of each link, m, shape `(2,)`.
    - `gravity`: gravitational acceleration, m/s^2, a scalar array.
    """

    mass: Float[Array, " 2"]
    length: Float[Array, " 2"]
    gravity: Float[Array, ""]

    positive_parameters: ClassVar[tuple[str, ...]] = ("mass", "length")

    @classmethod
    def unit(cls, gravity: float = 9.8) -> "DoublePendulum":
        """Construct the system of Cranmer et al. (2020): masses 1 kg, lengths 1 m."""
        return cls(jnp.ones(2), jnp.ones(2), jnp.asarray(gravity))

    @property
    def coordinates(self) -> Coordinates:
        """Two angles, radians."""
        return Coordinates((True, True))

    def mass_factor(self, q: Float[Array, " n"]) -> Float[Array, "n n"]:
        (m1, m2), (l1, l2) = self.mass, self.length
        coupling = m2 * l1 * l2 * jnp.cos(q[0] - q[1])
        matrix = jnp.stack([(m1 + m2) * l1**2, coupling, coupling, m2 * l2**2]).reshape(2, 2)
        return linalg.cholesky(matrix.astype(q.dtype), upper=True)

    def potential_energy(self, q: Float[Array, " n"]) -> Scalar:
        (m1, m2), (l1, l2) = self.mass, self.length
        return -self.gravity * ((m1 + m2) * l1 * jnp.cos(q[0]) + m2 * l2 * jnp.cos(q[1]))
