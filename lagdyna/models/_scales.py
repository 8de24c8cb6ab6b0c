import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def scaled(x: Float[Array, " n"], scale: tuple[float, ...] | None) -> Float[Array, " n"]:
    """Divide each entry by its scale; `None` leaves `x` unchanged."""
    return x if scale is None else x / jnp.asarray(np.asarray(scale), x.dtype)


def positive_scales(name: str, given: tuple[float, ...] | None, n: int) -> tuple[float, ...]:
    """Validate one positive scale per coordinate; ones by default.

    **Arguments:**

    - `name`: name of the argument, for the error message.
    - `given`: the scales, or `None` for ones.
    - `n`: number of coordinates.

    **Returns:** the scales as `n` floats.

    **Raises:** `ValueError` if `given` is not `n` positive numbers.
    """
    if given is None:
        return (1.0,) * n
    if len(given) != n or min(given) <= 0:
        raise ValueError(f"`{name}` must be {n} positive numbers, got {given}")
    return tuple(float(x) for x in given)
