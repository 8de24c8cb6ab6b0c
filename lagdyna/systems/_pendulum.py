import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from ..mechanics import AbstractRigidBody


class Pendulum(AbstractRigidBody):
    """A single link on a pivot; `q` is its angle from upright, radians.

        L = 1/2 I qd^2 - m g c l cos(q),    I = k m l^2

    Mass, length and gravity are trainable leaves, so identifying them from data is the
    same `fit` call that trains a network. `Pendulum.rod()` is that of Gymnasium's
    `Pendulum-v1`, `Pendulum.point_mass()` the textbook's.

    **Arguments:**

    - `mass`: `m`, kg, a scalar array.
    - `length`: `l`, m, a scalar array.
    - `gravity`: `g`, m/s^2, a scalar array.
    - `centre`: `c`, where along the link its centre of mass lies, as a fraction.
    - `inertia_factor`: `k`, the moment of inertia about the pivot over `m l^2`.
    """

    mass: Float[Array, ""]
    length: Float[Array, ""]
    gravity: Float[Array, ""]
    centre: float = eqx.field(static=True)
    inertia_factor: float = eqx.field(static=True)

    @classmethod
    def rod(cls, mass: float = 1.0, length: float = 1.0, gravity: float = 10.0) -> "Pendulum":
        """A uniform rod; the defaults are those of Gymnasium's `Pendulum-v1`."""
        return cls(_scalar(mass), _scalar(length), _scalar(gravity), 0.5, 1 / 3)

    @classmethod
    def point_mass(
        cls, mass: float = 1.0, length: float = 1.0, gravity: float = 9.8
    ) -> "Pendulum":
        """A mass on a weightless link."""
        return cls(_scalar(mass), _scalar(length), _scalar(gravity), 1.0, 1.0)

    def mass_factor(self, q: Float[Array, " n"]) -> Float[Array, "n n"]:
        inertia = self.inertia_factor * self.mass * self.length**2
        return jnp.sqrt(inertia).astype(q.dtype)[None, None]

    def potential_energy(self, q: Float[Array, " n"]) -> Scalar:
        return self.mass * self.gravity * self.centre * self.length * jnp.cos(q[0])


def _scalar(value: float) -> Float[Array, ""]:
    # Of a definite type: a weakly typed leaf would be compiled for again after its first
    # update.
    return jnp.asarray(value, float)
