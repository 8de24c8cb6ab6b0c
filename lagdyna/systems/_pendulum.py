from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from ..mechanics import AbstractRigidBody


class Pendulum(AbstractRigidBody):
    """Pendulum: a single link on a pivot.

    The coordinate `q` is the angle from upright, radians.

        L = 1/2 I qd^2 - m g c l cos(q),    I = k m l^2

    Mass, length and gravity are trainable leaves, so the `fit` call that trains a network
    also identifies them from data. `Pendulum.rod()` constructs the pendulum of Gymnasium's
    `Pendulum-v1`, and `Pendulum.point_mass()` the textbook's.

    **Arguments:**

    - `mass`: `m`, kg, a scalar array.
    - `length`: `l`, m, a scalar array.
    - `gravity`: `g`, m/s^2, a scalar array.
    - `centre`: `c`, position of the centre of mass along the link, as a fraction of `l`.
    - `inertia_factor`: `k`, the moment of inertia about the pivot divided by `m l^2`.
    """

    mass: Float[Array, ""]
    length: Float[Array, ""]
    gravity: Float[Array, ""]
    centre: float = eqx.field(static=True)
    inertia_factor: float = eqx.field(static=True)

    positive_parameters: ClassVar[tuple[str, ...]] = ("mass", "length")

    @classmethod
    def rod(cls, mass: float = 1.0, length: float = 1.0, gravity: float = 10.0) -> "Pendulum":
        """Construct a uniform rod; the defaults are those of Gymnasium's `Pendulum-v1`."""
        return cls(_scalar(mass), _scalar(length), _scalar(gravity), 0.5, 1 / 3)

    @classmethod
    def point_mass(
        cls, mass: float = 1.0, length: float = 1.0, gravity: float = 9.8
    ) -> "Pendulum":
        """Construct a point mass on a massless link."""
        return cls(_scalar(mass), _scalar(length), _scalar(gravity), 1.0, 1.0)

    def mass_factor(self, q: Float[Array, " n"]) -> Float[Array, "n n"]:
        inertia = self.inertia_factor * self.mass * self.length**2
        return jnp.sqrt(inertia).astype(q.dtype)[None, None]

    def potential_energy(self, q: Float[Array, " n"]) -> Scalar:
        return self.mass * self.gravity * self.centre * self.length * jnp.cos(q[0])


def _scalar(value: float) -> Float[Array, ""]:
    # A weakly typed leaf would cause a recompilation after its first update.
    return jnp.asarray(value, float)
