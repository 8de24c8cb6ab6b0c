"""Backward pass of differential dynamic programming with action limits and defects."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from ._box_qp import solve_box_qp, solve_free
from ._costs import Quadratic
from ._linearise import LinearDynamics


class Policy(NamedTuple):
    """Affine change of the actions, `k + K x` for a change `x` of the state.

    **Attributes:**

    - `step`: `k`, shape `(time, m)`.
    - `gain`: `K`, shape `(time, m, 2 n)`.
    - `predicted`: change of cost that the quadratic model predicts for the whole step.
    """

    step: Float[Array, "time m"]
    gain: Float[Array, "time m two_n"]
    predicted: Scalar


def backward_pass(
    linear: LinearDynamics,
    stage: Quadratic,
    final: Quadratic,
    defects: Float[Array, "time two_n"],
    room: tuple[Float[Array, "time m"], Float[Array, "time m"]],
    regularisation: Scalar,
) -> Policy:
    """Minimise the quadratic model of the cost, from the last step to the first.

    Tassa, Mansard & Todorov (2014), equations 7 to 11, with the gaps of multiple shooting of
    Mastalli et al. (2020), "Crocoddyl", equation 12. Regularisation penalises changes of the
    action and of the next state alike.

    **Arguments:**

    - `linear`: linear dynamics of each step, with a leading axis of time.
    - `stage`, `final`: quadratic models of the costs.
    - `defects`: predicted minus planned next state of each step.
    - `room`: how far each action is from its lower and upper limit, of either sign.
    - `regularisation`: the factor of the penalty.
    """
    size = final.gradient.shape[0]

    def body(
        carry: tuple[Array, Array, Scalar], step: tuple
    ) -> tuple[tuple[Array, Array, Scalar], tuple[Array, Array]]:
        slope, curvature, predicted = carry
        (a, b), (gradient, hessian), defect, lower, upper = step
        change = defect @ (slope + 0.5 * curvature @ defect)
        slope = slope + curvature @ defect
        jacobian = jnp.concatenate([a, b], axis=1)
        first = gradient + jacobian.T @ slope
        second = hessian + jacobian.T @ curvature @ jacobian
        damped = second[size:] + regularisation * (b.T @ jacobian)
        damped_uu = damped[:, size:] + regularisation * jnp.eye(len(lower), dtype=b.dtype)
        k, free = solve_box_qp(damped_uu, first[size:], lower, upper)
        gain = -solve_free(damped_uu, damped[:, :size], free)
        both = jnp.concatenate([jnp.eye(size, dtype=b.dtype), gain])
        after = both.T @ (first + second[:, size:] @ k)
        curvature = both.T @ second @ both
        predicted = predicted + change + first[size:] @ k + 0.5 * k @ second[size:, size:] @ k
        return (after, 0.5 * (curvature + curvature.T), predicted), (k, gain)

    last = (final.gradient, final.hessian, jnp.zeros((), final.gradient.dtype))
    (_, _, predicted), (k, gain) = jax.lax.scan(
        body, last, (linear, stage, defects, *room), reverse=True
    )
    return Policy(k, gain, predicted)
