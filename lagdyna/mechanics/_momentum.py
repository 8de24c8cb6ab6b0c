import abc
from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from . import linalg
from ._frozen import frozen
from ._rigid_body import AbstractRigidBody


class AbstractMomentumMap(eqx.Module):
    """How velocities and canonical momenta go together, where that is known.

    A black-box Hamiltonian cannot find it out: its `dH/dp` only says how the data's own
    momenta move.
    """

    @abc.abstractmethod
    def momentum(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        """The momentum of the velocity `qd`, shape `(n,)`."""

    @abc.abstractmethod
    def velocity(self, q: Float[Array, " n"], p: Float[Array, " n"]) -> Float[Array, " n"]:
        """The velocity of the momentum `p`, shape `(n,)`."""


class VelocityMomentum(AbstractMomentumMap):
    """Velocities taken for momenta, `p = qd`, as if `(q, qd)` were canonical.

    True where the mass matrix is constant and the identity. Elsewhere it is what
    Cranmer et al. (2020) do to show that a Hamiltonian network then fails.
    """

    def momentum(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        return qd

    def velocity(self, q: Float[Array, " n"], p: Float[Array, " n"]) -> Float[Array, " n"]:
        return p


class RigidBodyMomentum(AbstractMomentumMap):
    """`p = M(q) qd` with the mass matrix of a known rigid body.

    **Arguments:**

    - `body`: whose mass matrix it is. Its parameters stay as they are: the
        map is given, not learned.
    """

    body: AbstractRigidBody

    def momentum(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        factor = frozen(self.body).mass_factor(q)
        return factor @ (factor.T @ qd)

    def velocity(self, q: Float[Array, " n"], p: Float[Array, " n"]) -> Float[Array, " n"]:
        return linalg.cholesky_solve(frozen(self.body).mass_factor(q), p, upper=True)


class GivenMomentum(AbstractMomentumMap):
    """A map that is known as two JAX functions, each the inverse of the other.

    **Arguments:**

    - `to_momentum`: of `(q, qd)`.
    - `to_velocity`: of `(q, p)`.
    """

    to_momentum: Callable[[Array, Array], Array] = eqx.field(static=True)
    to_velocity: Callable[[Array, Array], Array] = eqx.field(static=True)

    def momentum(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        return jnp.asarray(self.to_momentum(q, qd))

    def velocity(self, q: Float[Array, " n"], p: Float[Array, " n"]) -> Float[Array, " n"]:
        return jnp.asarray(self.to_velocity(q, p))
