"""Linear algebra of small matrices, unrolled so that it vectorises over a batch.

For small systems, one LAPACK call per sample dominates the time of a solver step. A few
unrolled scalar operations fuse with the surrounding program instead. Larger matrices use the
library routines.
"""

import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, Scalar

# Unrolled factors of eight rows compile slowly under second derivatives and run slower than
# the library; factors of four rows run three times as fast as the library.
_UNROLL_FACTOR_UP_TO = 4
_UNROLL_SOLVE_UP_TO = 8


def cholesky(matrix: Float[Array, "n n"], *, upper: bool = False) -> Float[Array, "n n"]:
    """Compute the triangular `F` of `matrix = F F'`, with a positive diagonal.

    **Arguments:**

    - `matrix`: symmetric positive definite, shape `(n, n)`. Only its lower triangle is read.
        The factor is NaN if the matrix is not positive definite.
    - `upper`: whether `F` is upper triangular; lower triangular by default.

    **Returns:** the factor, shape `(n, n)`.
    """
    n = matrix.shape[0]
    if n > _UNROLL_FACTOR_UP_TO:
        if not upper:
            return jnp.linalg.cholesky(matrix, symmetrize_input=False)
        reversed_matrix = matrix.T[::-1, ::-1]
        return jnp.linalg.cholesky(reversed_matrix, symmetrize_input=False)[::-1, ::-1]
    # The upper factor is the lower factor of the matrix with reversed rows and columns.
    order = _substitution_order(n, upper)
    zero = jnp.zeros((), matrix.dtype)
    factor = [[zero] * n for _ in range(n)]
    for row, i in enumerate(order):
        for column, j in enumerate(order[:row]):
            dot = sum(factor[i][k] * factor[j][k] for k in order[:column])
            factor[i][j] = (matrix[max(i, j), min(i, j)] - dot) / factor[j][j]
        squares = sum(factor[i][k] ** 2 for k in order[:row])
        factor[i][i] = jnp.sqrt(matrix[i, i] - squares)
    return jnp.stack([x for entries in factor for x in entries]).reshape(n, n)


def cholesky_solve(
    factor: Float[Array, "n n"], b: Float[Array, " n"], *, upper: bool = False
) -> Float[Array, " n"]:
    """Compute `(F F')^-1 b` by forward and back substitution, shape `(n,)`.

    **Arguments:**

    - `factor`: triangular `F`, shape `(n, n)`.
    - `b`: right-hand side, shape `(n,)`.
    - `upper`: whether `F` is upper triangular; lower triangular by default.
    """
    n = b.shape[0]
    if n > _UNROLL_SOLVE_UP_TO:
        half = solve_triangular(factor, b, lower=not upper)
        return solve_triangular(factor, half, lower=not upper, trans=1)
    order = _substitution_order(n, upper)
    y: dict[int, Scalar] = {}
    for i in order:
        y[i] = (b[i] - sum(factor[i, j] * yj for j, yj in y.items())) / factor[i, i]
    x: dict[int, Scalar] = {}
    for i in reversed(order):
        x[i] = (y[i] - sum(factor[j, i] * xj for j, xj in x.items())) / factor[i, i]
    return jnp.stack([x[i] for i in range(n)])


def _substitution_order(n: int, upper: bool) -> list[int]:
    """Return the order of the rows in a substitution."""
    return list(range(n))[:: -1 if upper else 1]


def solve(matrix: Float[Array, "n n"], b: Float[Array, " n"]) -> Float[Array, " n"]:
    """Solve `matrix x = b` for an invertible matrix, shape `(n,)`."""
    n = b.shape[0]
    if n > 2:
        # Unrolled elimination is unstable without pivoting, and pivoting does not vectorise.
        return jnp.linalg.solve(matrix, b)
    if n == 1:
        return b / matrix[0]
    (a, c), (d, e) = matrix
    cofactors = jnp.stack([e * b[0] - c * b[1], a * b[1] - d * b[0]])
    return cofactors / (a * e - c * d)


def damped_solve(
    matrix: Float[Array, "n n"], b: Float[Array, " n"], damping: float
) -> Float[Array, " n"]:
    """Compute `(A^2 + damping^2 I)^-1 A b` for a symmetric matrix `A`, shape `(n,)`.

    The result is computed as the real part of `(A + i damping I)^-1 b`. This avoids `A^2`:
    in float32, a damping of a thousandth of the largest eigenvalue would be lost in it.

    **Arguments:**

    - `matrix`: symmetric `A`, shape `(n, n)`.
    - `b`: right-hand side, shape `(n,)`.
    - `damping`: in the units of `A`.
    """
    n = b.shape[0]
    if n > 2:
        shift = 1j * damping * jnp.eye(n, dtype=matrix.dtype)
        return jnp.linalg.solve(matrix + shift, b + 0j).real
    if n == 1:
        return b * matrix[0] / (matrix[0] ** 2 + damping**2)
    (a, c), (d, e) = matrix
    cofactors = jnp.stack([e * b[0] - c * b[1], a * b[1] - d * b[0]])
    # The determinant of A + i damping I is real + i damping imaginary.
    real, imaginary = a * e - c * d - damping**2, a + e
    numerator = cofactors * real + damping**2 * imaginary * b
    return numerator / (real**2 + (damping * imaginary) ** 2)
