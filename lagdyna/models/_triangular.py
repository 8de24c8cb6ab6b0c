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
    """A triangular matrix with a positive diagonal, from a network's output.

    **Arguments:**

    - `entries`: `n` for the diagonal, then the others, of the lower triangle row by row, of
        the upper one column by column.
    - `n`: the number of rows.
    - `shift`: added to the diagonal's entries before the softplus, length `n`.
    - `min_diagonal`: added to the diagonal after it.
    - `upper`: which triangle; the lower one by default.
    """
    diagonal = jax.nn.softplus(entries[:n] + jnp.asarray(shift, entries.dtype)) + min_diagonal
    # Placing the entries with constant matrices is a product that batches and
    # differentiates; a scatter does neither cheaply.
    place = jnp.asarray(_placement(n, upper), entries.dtype)
    flat = jnp.concatenate([diagonal, entries[n:]]) @ place
    return flat.reshape(n, n)


def _placement(n: int, upper: bool) -> np.ndarray:
    """`(n(n+1)/2, n n)`: row k holds a one where entry k goes, diagonal entries first."""
    rows, columns = np.tril_indices(n, -1)
    if upper:
        rows, columns = columns, rows
    flat = np.concatenate([np.arange(n) * (n + 1), rows * n + columns])
    return np.eye(n * n)[flat]


def inverse_softplus(x: float) -> float:
    """What softplus makes `x > 0` of, in the form that does not overflow."""
    return x + math.log(-math.expm1(-x))
