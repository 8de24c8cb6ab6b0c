import abc
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from . import euler_lagrange


class Forces(NamedTuple):
    """Generalised force of inverse dynamics, split into its parts.

    `inertial + coriolis + conservative` equals the force `tau` that causes `qdd`.

    **Attributes:** (each of shape `(n,)`, newtons or newton metres)

    - `inertial`: `M qdd`.
    - `coriolis`: Coriolis and centrifugal forces; 0 at rest.
    - `conservative`: `dV/dq`, the force that holds the system at rest at `q` against gravity
        and springs.
    """

    inertial: Float[Array, " n"]
    coriolis: Float[Array, " n"]
    conservative: Float[Array, " n"]


class AbstractLagrangian(eqx.Module):
    """Lagrangian `L(q, qd)`, a scalar in joules, with its equations of motion.

    Analytic and learned systems share this interface. Subclass
    [`lagdyna.mechanics.AbstractGeneralLagrangian`][] to define `L` alone, or
    [`lagdyna.mechanics.AbstractRigidBody`][] to define a mass matrix and a potential.
    All methods take single states; use `jax.vmap` for batches.

    **Attributes:** (of the class) `positive_parameters`, names of the trainable arrays whose
    entries must be positive, such as masses. A fit learns their logarithms.
    """

    positive_parameters: ClassVar[tuple[str, ...]] = ()

    def warnings(self) -> list[str]:
        """Describe parameters outside of what is physical, one sentence each; none here."""
        return []

    @abc.abstractmethod
    def __call__(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Scalar:
        """Compute the Lagrangian at `(q, qd)`, joules."""

    @abc.abstractmethod
    def momentum(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        """Compute the generalised momentum `p = dL/dqd`, shape `(n,)`."""

    @abc.abstractmethod
    def energy(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Scalar:
        """Compute the energy `qd . p - L`, joules."""

    @abc.abstractmethod
    def mass_matrix(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, "n n"]:
        """Compute the mass matrix `d2L/dqd2`, shape `(n, n)`."""

    @abc.abstractmethod
    def forward_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], tau: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        """Compute the acceleration under the generalised force `tau`, shape `(n,)`."""

    @abc.abstractmethod
    def inverse_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], qdd: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        """Compute the generalised force that causes the acceleration `qdd`, shape `(n,)`."""

    @abc.abstractmethod
    def forces(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], qdd: Float[Array, " n"]
    ) -> Forces:
        """Split `inverse_dynamics` into inertial, Coriolis and conservative forces."""


class AbstractGeneralLagrangian(AbstractLagrangian):
    """Lagrangian of unrestricted form; subclasses define `__call__`.

    The kinetic energy need not be quadratic in `qd`. The equations of motion follow from
    the second derivatives of `L` (Cranmer et al. 2020, eq. 2).

    **Attributes:**

    - `damping`: regularisation of the solve for `qdd`; see
        [`lagdyna.mechanics.euler_lagrange.forward_dynamics`][]. 0 is the exact solve.
    """

    damping: eqx.AbstractVar[float]

    def momentum(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        return euler_lagrange.momentum(self, q, qd)

    def energy(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Scalar:
        return euler_lagrange.energy(self, q, qd)

    def mass_matrix(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, "n n"]:
        return euler_lagrange.mass_matrix(self, q, qd)

    def forward_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], tau: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        return euler_lagrange.forward_dynamics(self, q, qd, tau, self.damping)

    def inverse_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], qdd: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        return euler_lagrange.inverse_dynamics(self, q, qd, qdd)

    def forces(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], qdd: Float[Array, " n"]
    ) -> Forces:
        conservative = -jax.grad(self.__call__)(q, jnp.zeros_like(qd))
        bias = euler_lagrange.bias_force(self, q, qd)
        inertial = euler_lagrange.mass_matrix(self, q, qd) @ qdd
        return Forces(inertial, bias - conservative, conservative)
