"""Linear algebra of small matrices, written out so that it vectorises over a batch.

A call into LAPACK for every sample of a batch took most of the time of a step for small
systems; a handful of scalar operations fuses with what surrounds it. Larger matrices take
the library routines.
"""

import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, Scalar

# Differentiated twice, eight unrolled rows of a Cholesky factor took half a minute to
# compile and ran slower than the library; four, a third of the library's time.
_UNROLL_FACTOR_UP_TO = 4
_UNROLL_SOLVE_UP_TO = 8


def cholesky(matrix: Float[Array, "n n"], *, upper: bool = False) -> Float[Array, "n n"]:
    """Triangular `F` with a positive diagonal and `F F' = matrix`, shape `(n, n)`.

    **Arguments:**

    - `matrix`: symmetric positive definite; only its lower triangle is read. The factor
        of one that is not positive definite is not a number.
    - `upper`: which triangle `F` is; the lower one by default.
    """
    n = matrix.shape[0]
    if n > _UNROLL_FACTOR_UP_TO:
        if not upper:
            return jnp.linalg.cholesky(matrix, symmetrize_input=False)
        turned = matrix.T[::-1, ::-1]
        return jnp.linalg.cholesky(turned, symmetrize_input=False)[::-1, ::-1]
    # The upper factor is the lower one of the rows and columns in reverse.
    order = _order(n, upper)
    zero = jnp.zeros((), matrix.dtype)
    factor = [[zero] * n for _ in range(n)]
    for count, i in enumerate(order):
        for place, j in enumerate(order[:count]):
            known = sum(factor[i][k] * factor[j][k] for k in order[:place])
            factor[i][j] = (matrix[max(i, j), min(i, j)] - known) / factor[j][j]
        squares = sum(factor[i][k] ** 2 for k in order[:count])
        factor[i][i] = jnp.sqrt(matrix[i, i] - squares)
    return jnp.stack([x for row in factor for x in row]).reshape(n, n)


def cholesky_solve(
    factor: Float[Array, "n n"], b: Float[Array, " n"], *, upper: bool = False
) -> Float[Array, " n"]:
    """`(F F')^-1 b` by substitution, shape `(n,)`.

    **Arguments:** `factor`, triangular; `upper`, which triangle it is; `b`.
    """
    n = b.shape[0]
    if n > _UNROLL_SOLVE_UP_TO:
        half = solve_triangular(factor, b, lower=not upper)
        return solve_triangular(factor, half, lower=not upper, trans=1)
    order = _order(n, upper)
    y: dict[int, Scalar] = {}
    for i in order:
        y[i] = (b[i] - sum(factor[i, j] * yj for j, yj in y.items())) / factor[i, i]
    x: dict[int, Scalar] = {}
    for i in reversed(order):
        x[i] = (y[i] - sum(factor[j, i] * xj for j, xj in x.items())) / factor[i, i]
    return jnp.stack([x[i] for i in range(n)])


def _order(n: int, upper: bool) -> list[int]:
    """In which a triangular system is solved."""
    return list(range(n))[:: -1 if upper else 1]


def solve(matrix: Float[Array, "n n"], b: Float[Array, " n"]) -> Float[Array, " n"]:
    """`matrix^-1 b` for any invertible matrix, shape `(n,)`."""
    n = b.shape[0]
    if n > 2:
        # Elimination without pivots is not safe, and with them does not vectorise.
        return jnp.linalg.solve(matrix, b)
    if n == 1:
        return b / matrix[0]
    (a, c), (d, e) = matrix
    cofactors = jnp.stack([e * b[0] - c * b[1], a * b[1] - d * b[0]])
    return cofactors / (a * e - c * d)


def damped_solve(
    matrix: Float[Array, "n n"], b: Float[Array, " n"], damping: float
) -> Float[Array, " n"]:
    """`(A^2 + damping^2 I)^-1 A b` for a symmetric matrix `A`, shape `(n,)`.

    That is the real part of `(A + i damping I)^-1 b`. Solved as such, `A` is never
    squared, so rounding harms it no more than the undamped solution; in float32 a damping
    of a thousandth of the largest eigenvalue would be lost in `A^2`.
    """
    n = b.shape[0]
    if n > 2:
        shift = 1j * damping * jnp.eye(n, dtype=matrix.dtype)
        return jnp.linalg.solve(matrix + shift, b + 0j).real
    if n == 1:
        return b * matrix[0] / (matrix[0] ** 2 + damping**2)
    (a, c), (d, e) = matrix
    cofactors = jnp.stack([e * b[0] - c * b[1], a * b[1] - d * b[0]])
    # The determinant of A + i damping I, its imaginary part over damping.
    real, imaginary = a * e - c * d - damping**2, a + e
    numerator = cofactors * real + damping**2 * imaginary * b
    return numerator / (real**2 + (damping * imaginary) ** 2)
