import abc

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from . import linalg
from ._lagrangian import AbstractLagrangian, Forces


class AbstractRigidBody(AbstractLagrangian):
    """Rigid-body Lagrangian `L = 1/2 qd' M(q) qd - V(q)` with `M = F F'`.

    Subclasses define the factor `F` and the potential `V`. The positive diagonal of the upper
    triangular `F` makes `M` symmetric positive definite by construction. For every `n`, a
    force or an acceleration costs one Jacobian-vector product of `F` and one gradient of a
    scalar. `M` is never inverted; systems are solved with its factor (Lutter et al. 2019).
    """

    @abc.abstractmethod
    def mass_factor(self, q: Float[Array, " n"]) -> Float[Array, "n n"]:
        """Compute the upper triangular `F(q)` of `M = F F'`, shape `(n, n)`.

        The diagonal of `F` is positive.
        """

    @abc.abstractmethod
    def potential_energy(self, q: Float[Array, " n"]) -> Scalar:
        """Compute the potential energy `V(q)`, joules."""

    def kinetic_energy(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Scalar:
        """Compute the kinetic energy `1/2 qd' M(q) qd`, joules."""
        return 0.5 * jnp.sum((self.mass_factor(q).T @ qd) ** 2)

    def __call__(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Scalar:
        return self.kinetic_energy(q, qd) - self.potential_energy(q)

    def energy(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Scalar:
        return self.kinetic_energy(q, qd) + self.potential_energy(q)

    def momentum(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        factor = self.mass_factor(q)
        return factor @ (factor.T @ qd)

    def mass_matrix(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, "n n"]:
        del qd  # a rigid body's mass matrix depends on the configuration alone
        factor = self.mass_factor(q)
        return factor @ factor.T

    def forward_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], tau: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        factor, bias = self._factor_and_bias(q, qd)
        return linalg.cholesky_solve(factor, tau - bias, upper=True)

    def inverse_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], qdd: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        factor, bias = self._factor_and_bias(q, qd)
        return factor @ (factor.T @ qdd) + bias

    def forces(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], qdd: Float[Array, " n"]
    ) -> Forces:
        factor, bias = self._factor_and_bias(q, qd)
        conservative = jax.grad(self.potential_energy)(q)
        inertial = factor @ (factor.T @ qdd)
        return Forces(inertial, bias - conservative, conservative)

    def _factor_and_bias(
        self, q: Float[Array, " n"], qd: Float[Array, " n"]
    ) -> tuple[Float[Array, "n n"], Float[Array, " n"]]:
        """Compute `F(q)` and the bias force `c + g = Mdot qd - dL/dq`."""
        factor, factor_rate = jax.jvp(self.mass_factor, (q,), (qd,))
        mass_rate_qd = factor @ (factor_rate.T @ qd) + factor_rate @ (factor.T @ qd)
        return factor, mass_rate_qd - jax.grad(self.__call__)(q, qd)
