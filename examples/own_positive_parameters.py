"""Lagrangian of your own with positive parameters: a cart on a spring."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from lagdyna.mechanics import AbstractRigidBody


class Cart(AbstractRigidBody):
    """Cart of a mass on a spring, about a position of rest."""

    mass: Float[Array, ""]
    stiffness: Float[Array, ""]
    rest: Float[Array, ""]

    # Fits keep these above 0; the position of rest may be negative.
    positive_parameters: ClassVar[tuple[str, ...]] = ("mass", "stiffness")

    def mass_factor(self, q: Float[Array, " n"]) -> Float[Array, "n n"]:
        return jnp.sqrt(self.mass)[None, None]

    def potential_energy(self, q: Float[Array, " n"]) -> Scalar:
        return 0.5 * self.stiffness * (q[0] - self.rest) ** 2


cart = Cart(jnp.asarray(1.0), jnp.asarray(20.0), jnp.asarray(0.0))

if __name__ == "__main__":
    acceleration = jax.jit(cart.forward_dynamics)(jnp.ones(1), jnp.zeros(1), jnp.zeros(1))
    print("acceleration 1 m off", acceleration)
