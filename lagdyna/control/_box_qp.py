"""Quadratic programs with box constraints, of a few variables."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..mechanics.linalg import cholesky, cholesky_solve

_ITERATIONS = 20
_STEPS = 6  # lengths that are tried, each half of the one before


def solve_box_qp(
    hessian: Float[Array, "m m"],
    gradient: Float[Array, " m"],
    lower: Float[Array, " m"],
    upper: Float[Array, " m"],
) -> tuple[Float[Array, " m"], Bool[Array, " m"]]:
    """Minimise `x' H x / 2 + g' x` within `lower <= x <= upper`.

    Projected Newton's method (Bertsekas 1982), as in Tassa, Mansard & Todorov (2014),
    "Control-limited differential dynamic programming", section III. One variable has a closed
    form.

    **Arguments:** `hessian`, positive definite; `gradient`; `lower`, `upper`, which contain 0.

    **Returns:** the minimum, and which variables are not at a limit that holds them.
    """
    if gradient.shape[0] == 1:
        x = -gradient / hessian[0]
        return jnp.clip(x, lower, upper), (lower < x) & (x < upper)

    def value(x: Array) -> Array:
        return 0.5 * x @ hessian @ x + gradient @ x

    def is_free(x: Array) -> tuple[Array, Array]:
        slope = gradient + hessian @ x
        return slope, ~(((x <= lower) & (slope > 0)) | ((x >= upper) & (slope < 0)))

    def newton(x: Array) -> Array:
        slope, free = is_free(x)
        step = -solve_free(hessian, jnp.where(free, slope, 0)[:, None], free)[:, 0]
        return jnp.clip(x + 0.5 ** jnp.arange(_STEPS)[:, None] * step, lower, upper)

    def body(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        x, _, count = carry
        candidates = newton(x)
        values = jax.vmap(value)(candidates)
        best = candidates[jnp.argmin(values)]
        better = jnp.min(values) < value(x)
        moved = jnp.max(jnp.abs(best - x)) > 1e-6 * (1 + jnp.max(jnp.abs(x)))
        return jnp.where(better, best, x), better & moved, count + 1

    start = jnp.clip(jnp.zeros_like(gradient), lower, upper)
    x, *_ = jax.lax.while_loop(
        lambda carry: carry[1] & (carry[2] < _ITERATIONS),
        body,
        (start, jnp.ones((), bool), jnp.zeros((), int)),
    )
    return x, is_free(x)[1]


def solve_free(
    matrix: Float[Array, "m m"], right: Float[Array, "m k"], free: Bool[Array, " m"]
) -> Float[Array, "m k"]:
    """Solve a positive definite system in the free variables; the others are 0."""
    both = free[:, None] & free
    inside = jnp.where(both, matrix, jnp.eye(len(free), dtype=matrix.dtype))
    right = jnp.where(free[:, None], right, 0)
    factor = cholesky(inside)
    return jax.vmap(lambda b: cholesky_solve(factor, b), in_axes=1, out_axes=1)(right)
