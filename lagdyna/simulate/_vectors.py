"""Checks of the states that users give to a learned model."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Values = Array | np.ndarray | float | Sequence[Any]


def vectors(sizes: Mapping[str, int], **given: Values) -> list[Float[Array, "..."]]:
    """Convert arguments to vectors of known sizes; lists and NumPy arrays are accepted.

    **Arguments:** `sizes`, of each argument by name; `given`, the arguments.

    **Raises:** `ValueError` that names an argument of another shape.
    """
    found = []
    for name, value in given.items():
        size = sizes[name]
        accepted = f"a vector of shape ({size},) is accepted"
        try:
            array = value if isinstance(value, jax.Array) else jnp.asarray(np.asarray(value))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"`{name}` was of type {type(value).__name__}; {accepted}"
            ) from error
        if not jnp.issubdtype(array.dtype, jnp.floating):
            array = array.astype(float)
        if array.shape != (size,):
            batch = "; use `jax.vmap` for a batch" if array.ndim > 1 else ""
            raise ValueError(f"`{name}` has shape {array.shape}; {accepted}{batch}")
        found.append(array)
    return found
