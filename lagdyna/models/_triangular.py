import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def triangular(
    entries: Float[Array, " entries"],
    n: int,
    shift: tuple[float, ...],
    min_diagonal: float,
    *,
    upper: bool = False,
) -> Float[Array, "n n"]:
    """Build a triangular matrix with a positive diagonal from the output of a network.

    **Arguments:**

    - `entries`: the `n` diagonal entries, then the others: row by row for a lower triangle,
        column by column for an upper one. Shape `(n (n + 1) / 2,)`.
    - `n`: number of rows.
    - `shift`: added to the diagonal entries before the softplus, length `n`.
    - `min_diagonal`: added to the diagonal after the softplus.
    - `upper`: whether the matrix is upper triangular; lower triangular by default.

    **Returns:** the matrix, shape `(n, n)`.
    """
    diagonal = jax.nn.softplus(entries[:n] + jnp.asarray(shift, entries.dtype)) + min_diagonal
    # A product with a constant matrix is cheap to batch and to differentiate; a scatter is not.
    place = jnp.asarray(_placement(n, upper), entries.dtype)
    flat = jnp.concatenate([diagonal, entries[n:]]) @ place
    return flat.reshape(n, n)


def _placement(n: int, upper: bool) -> np.ndarray:
    """Build the constant matrix that maps entries to positions of the flattened matrix.

    **Returns:** shape `(n (n + 1) / 2, n n)`. Row `k` is 1 at the position of entry `k`;
    diagonal entries come first.
    """
    rows, columns = np.tril_indices(n, -1)
    if upper:
        rows, columns = columns, rows
    flat = np.concatenate([np.arange(n) * (n + 1), rows * n + columns])
    return np.eye(n * n)[flat]


def inverse_softplus(x: float) -> float:
    """Compute `y` with `softplus(y) = x > 0` without overflow."""
    return x + math.log(-math.expm1(-x))
