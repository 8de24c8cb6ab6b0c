import abc
from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from . import linalg
from ._frozen import frozen
from ._rigid_body import AbstractRigidBody


class AbstractMomentumMap(eqx.Module):
    """Known map between velocities and canonical momenta.

    A black-box Hamiltonian cannot learn this map: `dH/dp` only describes how the momenta in
    the data move.
    """

    @abc.abstractmethod
    def momentum(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        """Compute the momentum of the velocity `qd`, shape `(n,)`."""

    @abc.abstractmethod
    def velocity(self, q: Float[Array, " n"], p: Float[Array, " n"]) -> Float[Array, " n"]:
        """Compute the velocity of the momentum `p`, shape `(n,)`."""


class VelocityMomentum(AbstractMomentumMap):
    """Identity map, `p = qd`, which treats `(q, qd)` as canonical.

    It is correct only if the mass matrix is the identity. Cranmer et al. (2020) use it
    elsewhere to show that a Hamiltonian network then fails.
    """

    def momentum(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        return qd

    def velocity(self, q: Float[Array, " n"], p: Float[Array, " n"]) -> Float[Array, " n"]:
        return p


class RigidBodyMomentum(AbstractMomentumMap):
    """Momentum map of a known rigid body, `p = M(q) qd`.

    **Arguments:**

    - `body`: the rigid body that provides `M(q)`. Its parameters receive no gradient.
    """

    body: AbstractRigidBody

    def momentum(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        factor = frozen(self.body).mass_factor(q)
        return factor @ (factor.T @ qd)

    def velocity(self, q: Float[Array, " n"], p: Float[Array, " n"]) -> Float[Array, " n"]:
        return linalg.cholesky_solve(frozen(self.body).mass_factor(q), p, upper=True)


class GivenMomentum(AbstractMomentumMap):
    """Momentum map given as two JAX functions, each the inverse of the other.

    **Arguments:**

    - `to_momentum`: function `(q, qd) -> p`.
    - `to_velocity`: function `(q, p) -> qd`.
    """

    to_momentum: Callable[[Array, Array], Array] = eqx.field(static=True)
    to_velocity: Callable[[Array, Array], Array] = eqx.field(static=True)

    def momentum(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        return jnp.asarray(self.to_momentum(q, qd))

    def velocity(self, q: Float[Array, " n"], p: Float[Array, " n"]) -> Float[Array, " n"]:
        return jnp.asarray(self.to_velocity(q, p))
