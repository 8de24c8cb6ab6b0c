import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def lower_triangular(
    entries: Float[Array, " entries"], n: int, shift: tuple[float, ...], min_diagonal: float
) -> Float[Array, "n n"]:
    """A lower triangular matrix with a positive diagonal, from a network's output.

    **Arguments:**

    - `entries`: `n` for the diagonal, then those below it, row by row.
    - `n`: the number of rows.
    - `shift`: added to the diagonal's entries before the softplus, length `n`.
    - `min_diagonal`: added to the diagonal after it.
    """
    diagonal = jax.nn.softplus(entries[:n] + jnp.asarray(shift, entries.dtype)) + min_diagonal
    # Placing the entries with constant matrices is a product that batches and
    # differentiates; a scatter does neither cheaply.
    place = jnp.asarray(_placement(n), entries.dtype)
    flat = jnp.concatenate([diagonal, entries[n:]]) @ place
    return flat.reshape(n, n)


def _placement(n: int) -> np.ndarray:
    """`(n(n+1)/2, n n)`: row k holds a one where entry k goes, diagonal entries first."""
    rows, columns = np.tril_indices(n, -1)
    flat = np.concatenate([np.arange(n) * (n + 1), rows * n + columns])
    return np.eye(n * n)[flat]


def inverse_softplus(x: float) -> float:
    """What softplus makes `x > 0` of, in the form that does not overflow."""
    return x + math.log(-math.expm1(-x))
