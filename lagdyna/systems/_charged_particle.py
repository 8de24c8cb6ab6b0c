from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from ..mechanics import AbstractGeneralLagrangian, Coordinates


class ChargedParticle(AbstractGeneralLagrangian):
    """Charged particle in uniform magnetic and electric fields.

    The coordinates `q` are its position in space, metres.

        L = 1/2 m qd.qd + e qd.A(q) + e E.q,    A(q) = 1/2 B x q

    The force is the Lorentz force, `e (E + qd x B)`. The magnetic term is linear in velocity,
    does no work and does not appear in the mass matrix. A rigid-body Lagrangian cannot
    represent it.

    **Arguments:** (all but `damping` are trainable leaves)

    - `mass`: `m`, kg, a scalar array.
    - `charge`: `e`, coulombs, a scalar array.
    - `magnetic_field`: `B`, tesla, shape `(3,)`.
    - `electric_field`: `E`, V/m, shape `(3,)`.
    - `damping`: see [`lagdyna.mechanics.AbstractGeneralLagrangian`][].
    """

    mass: Float[Array, ""]
    charge: Float[Array, ""]
    magnetic_field: Float[Array, " 3"]
    electric_field: Float[Array, " 3"]
    damping: float = eqx.field(static=True, default=0.0)

    positive_parameters: ClassVar[tuple[str, ...]] = ("mass",)

    @property
    def coordinates(self) -> Coordinates:
        """Three linear coordinates, metres."""
        return Coordinates((False, False, False))

    def __call__(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Scalar:
        vector_potential = 0.5 * jnp.cross(self.magnetic_field, q)
        interaction = self.charge * (qd @ vector_potential + self.electric_field @ q)
        return 0.5 * self.mass * (qd @ qd) + interaction
