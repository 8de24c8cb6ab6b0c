"""Euler-Lagrange equation of any scalar function of `(q, qd)`.

    H qdd + C qd - dL/dq = tau,    H = d2L/dqd2,    C = d2L/(dqd dq)

The functions assume nothing about the form of the Lagrangian. `C qd` costs one
Jacobian-vector product and `H` costs `n` of them. The matrix `C` is never built (Cranmer et
al. 2020, eq. 2; Das et al. 2026, eq. 3-4).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float, Scalar

LagrangianFn = Callable[[Float[Array, " n"], Float[Array, " n"]], Scalar]


def momentum(
    lagrangian: LagrangianFn, q: Float[Array, " n"], qd: Float[Array, " n"]
) -> Float[Array, " n"]:
    """Compute the generalised momentum `p = dL/dqd`, shape `(n,)`."""
    return jax.grad(lagrangian, argnums=1)(q, qd)


def energy(lagrangian: LagrangianFn, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Scalar:
    """Compute the energy `E = qd . dL/dqd - L`, joules.

    It is conserved when no external force acts.
    """
    value, slope = jax.jvp(lambda v: lagrangian(q, v), (qd,), (qd,))
    return slope - value


def mass_matrix(
    lagrangian: LagrangianFn, q: Float[Array, " n"], qd: Float[Array, " n"]
) -> Float[Array, "n n"]:
    """Compute the generalised mass matrix `H = d2L/dqd2`, shape `(n, n)`.

    It depends on `qd` if the kinetic energy is not quadratic in `qd`.
    """
    return jax.hessian(lagrangian, argnums=1)(q, qd)


def bias_force(
    lagrangian: LagrangianFn, q: Float[Array, " n"], qd: Float[Array, " n"]
) -> Float[Array, " n"]:
    """Compute the bias force `C qd - dL/dq`, shape `(n,)`.

    It is the generalised force of zero acceleration.
    """
    _, coriolis = jax.jvp(lambda x: momentum(lagrangian, x, qd), (q,), (qd,))
    return coriolis - jax.grad(lagrangian)(q, qd)


def inverse_dynamics(
    lagrangian: LagrangianFn,
    q: Float[Array, " n"],
    qd: Float[Array, " n"],
    qdd: Float[Array, " n"],
) -> Float[Array, " n"]:
    """Compute the generalised force `tau = H qdd + C qd - dL/dq`, shape `(n,)`.

    It costs one Jacobian-vector product of the momentum along `(qd, qdd)`; `H` is not built.
    """
    _, rate = jax.jvp(lambda x, v: momentum(lagrangian, x, v), (q, qd), (qd, qdd))
    return rate - jax.grad(lagrangian)(q, qd)


def forward_dynamics(
    lagrangian: LagrangianFn,
    q: Float[Array, " n"],
    qd: Float[Array, " n"],
    tau: Float[Array, " n"],
    damping: float = 0.0,
) -> Float[Array, " n"]:
    """Compute the acceleration `qdd = H^-1 (tau + dL/dq - C qd)`, shape `(n,)`.

    **Arguments:**

    - `lagrangian`: function `(q, qd) -> L`, joules.
    - `q`: generalised coordinates, shape `(n,)`.
    - `qd`: generalised velocities, shape `(n,)`.
    - `tau`: generalised force, shape `(n,)`, N or N m.
    - `damping`: 0 is the exact solve. A positive value selects the damped least-squares
        solution `(H'H + damping^2 I)^-1 H' b`, which exists and is differentiable for every
        `H`. Use it where `H` may be singular.
    """
    h = mass_matrix(lagrangian, q, qd)
    b = tau - bias_force(lagrangian, q, qd)
    if damping > 0:
        gram = h.T @ h + damping**2 * jnp.eye(h.shape[0], dtype=h.dtype)
        operator = lx.MatrixLinearOperator(gram, lx.positive_semidefinite_tag)
        return lx.linear_solve(operator, h.T @ b, lx.Cholesky()).value
    return lx.linear_solve(lx.MatrixLinearOperator(h), b, lx.LU()).value
