import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def inverse_factor(factor: Float[Array, "size size"]) -> Float[Array, "size size"]:
    """The inverse of a lower triangular matrix, of blocks of two, four, eight and so on.

    Many right sides are then one product. LAPACK's own solver starts threads that go on
    waiting at full speed, and halve the speed of the large products that follow.
    """
    size = factor.shape[0]
    whole = 1 << max(size - 1, 0).bit_length()
    one = jnp.eye(whole - size, dtype=factor.dtype)
    padded = jax.scipy.linalg.block_diag(factor, one)
    found = 1 / jnp.diagonal(padded)[:, None, None]
    for _ in range(whole.bit_length() - 1):
        count, width = len(found), found.shape[-1]
        blocks = padded.reshape(count, width, count, width)
        below = jnp.arange(1, count, 2)
        first, last = found[0::2], found[1::2]
        corner = -last @ blocks[below, :, below - 1, :] @ first
        upper = jnp.concatenate([first, jnp.zeros_like(first)], axis=2)
        found = jnp.concatenate([upper, jnp.concatenate([corner, last], axis=2)], axis=1)
    return found[0, :size, :size]
