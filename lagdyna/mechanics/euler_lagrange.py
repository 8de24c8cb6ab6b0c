"""The Euler-Lagrange equation for any scalar function of `(q, qd)`.

    H qdd + C qd - dL/dq = tau,    H = d2L/dqd2,    C = d2L/(dqd dq)

Nothing here knows what a Lagrangian is made of. Costs: `C qd` is one Jacobian-vector
product, `H` takes `n` of them, and the matrix `C` is never built.
(Cranmer et al. 2020, eq. 2; Das et al. 2026, eq. 3-4.)
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
    """Generalised momentum `p = dL/dqd`, shape `(n,)`."""
    return jax.grad(lagrangian, argnums=1)(q, qd)


def energy(lagrangian: LagrangianFn, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Scalar:
    """Energy `E = qd . dL/dqd - L` in joules; conserved when no force acts."""
    value, slope = jax.jvp(lambda v: lagrangian(q, v), (qd,), (qd,))
    return slope - value


def mass_matrix(
    lagrangian: LagrangianFn, q: Float[Array, " n"], qd: Float[Array, " n"]
) -> Float[Array, "n n"]:
    """Generalised mass matrix `H = d2L/dqd2`, shape `(n, n)`.

    For a kinetic energy that is not quadratic in `qd` it depends on `qd` too.
    """
    return jax.hessian(lagrangian, argnums=1)(q, qd)


def bias_force(
    lagrangian: LagrangianFn, q: Float[Array, " n"], qd: Float[Array, " n"]
) -> Float[Array, " n"]:
    """`C qd - dL/dq`: the force that holds the acceleration at zero, shape `(n,)`."""
    _, coriolis = jax.jvp(lambda x: momentum(lagrangian, x, qd), (q,), (qd,))
    return coriolis - jax.grad(lagrangian)(q, qd)


def inverse_dynamics(
    lagrangian: LagrangianFn,
    q: Float[Array, " n"],
    qd: Float[Array, " n"],
    qdd: Float[Array, " n"],
) -> Float[Array, " n"]:
    """Generalised force `tau = H qdd + C qd - dL/dq` that causes `qdd`, shape `(n,)`.

    One Jacobian-vector product of the momentum along `(qd, qdd)`; `H` is not built.
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
    """Acceleration `qdd = H^-1 (tau + dL/dq - C qd)`, shape `(n,)`.

    **Arguments:**

    - `damping`: with a positive value the damped least-squares solution
        `(H'H + damping^2 I)^-1 H' b` takes the place of the exact one. It exists and is
        differentiable for every `H`; use it where `H` may be singular.
    """
    h = mass_matrix(lagrangian, q, qd)
    b = tau - bias_force(lagrangian, q, qd)
    if damping > 0:
        gram = h.T @ h + damping**2 * jnp.eye(h.shape[0], dtype=h.dtype)
        operator = lx.MatrixLinearOperator(gram, lx.positive_semidefinite_tag)
        return lx.linear_solve(operator, h.T @ b, lx.Cholesky()).value
    return lx.linear_solve(lx.MatrixLinearOperator(h), b, lx.LU()).value
