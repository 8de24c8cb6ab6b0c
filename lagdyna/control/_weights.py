"""Weight matrices of quadratic costs, given as numbers, diagonals or matrices."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Array, Float

from .._errors import UserError

Weights = float | Sequence[float] | Float[Array | np.ndarray, "..."]


def weight_matrix(
    name: str, given: Weights, size: int, *, definite: bool = False
) -> Float[np.ndarray, "size size"]:
    """Convert weights to a symmetric matrix of float64.

    **Arguments:** `name`, of the argument, for messages; `given`, one number for all entries,
    a diagonal or a matrix; `size`, rows of the matrix; `definite`, whether weights of 0 are
    refused.

    **Raises:** `UserError` for another shape, or a matrix that is not positive semidefinite.
    """
    kind = "definite" if definite else "semidefinite"
    accepted = (
        f"one number, {size} numbers or a symmetric positive {kind} matrix of shape "
        f"({size}, {size}) is accepted"
    )
    try:
        weights = np.asarray(given, float)
    except (TypeError, ValueError) as error:
        raise UserError(f"`{name}` was {given!r}; {accepted}") from error
    if weights.ndim < 2:
        if weights.shape not in ((), (size,)):
            raise UserError(f"`{name}` has {weights.size} entries; {accepted}")
        matrix = np.diag(np.broadcast_to(weights, (size,)))
    else:
        matrix = weights
    if matrix.shape != (size, size) or not np.all(np.isfinite(matrix)):
        raise UserError(f"`{name}` has shape {matrix.shape} or is not finite; {accepted}")
    scale = np.abs(matrix).max()
    least = np.linalg.eigvalsh(matrix)[0] if np.allclose(matrix, matrix.T) else -np.inf
    if least < -1e-9 * scale or (definite and least <= 0):
        raise UserError(f"`{name}` was {matrix.tolist()}; {accepted}")
    return matrix
