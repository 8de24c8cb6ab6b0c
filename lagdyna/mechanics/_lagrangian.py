import abc
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from . import euler_lagrange


class Forces(NamedTuple):
    """The generalised force of inverse dynamics, split by where it comes from.

    `inertial + coriolis + conservative` is the force `tau` that causes `qdd`.

    **Attributes:** (each of shape `(n,)`, newtons or newton metres)

    - `inertial`: `M qdd`.
    - `coriolis`: what is due to motion alone, Coriolis and centrifugal; 0 at rest.
    - `conservative`: what holds the system still at `q`, `dV/dq`; gravity, springs.
    """

    inertial: Float[Array, " n"]
    coriolis: Float[Array, " n"]
    conservative: Float[Array, " n"]


class AbstractLagrangian(eqx.Module):
    """A scalar `L(q, qd)` in joules, and the mechanics that follow from it.

    Analytic systems and learned ones are both this, so whatever takes a Lagrangian takes
    either. Subclass [`lagdyna.mechanics.AbstractGeneralLagrangian`][] to give only `L`, or
    [`lagdyna.mechanics.AbstractRigidBody`][] to give a mass matrix and a potential.
    All functions are of single states; `jax.vmap` them over batches.
    """

    @abc.abstractmethod
    def __call__(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Scalar:
        """The Lagrangian at `(q, qd)`, joules."""

    @abc.abstractmethod
    def momentum(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        """Generalised momentum `p = dL/dqd`, shape `(n,)`."""

    @abc.abstractmethod
    def energy(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Scalar:
        """Energy `qd . p - L`, joules."""

    @abc.abstractmethod
    def mass_matrix(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, "n n"]:
        """Mass matrix `d2L/dqd2`, shape `(n, n)`."""

    @abc.abstractmethod
    def forward_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], tau: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        """Acceleration under the generalised force `tau`, shape `(n,)`."""

    @abc.abstractmethod
    def inverse_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], qdd: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        """Generalised force that causes the acceleration `qdd`, shape `(n,)`."""

    @abc.abstractmethod
    def forces(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], qdd: Float[Array, " n"]
    ) -> Forces:
        """`inverse_dynamics`, split into inertial, Coriolis and conservative parts."""


class AbstractGeneralLagrangian(AbstractLagrangian):
    """A Lagrangian about which nothing else is known: subclasses give `__call__`.

    The kinetic energy need not be quadratic in `qd`. The Euler-Lagrange equation is
    formed by differentiating `L` twice (Cranmer et al. 2020, eq. 2).

    **Attributes:**

    - `damping`: how far the solve for `qdd` is regularised; see
        [`lagdyna.mechanics.euler_lagrange.forward_dynamics`][]. 0 solves exactly.
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
