import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def inverse_factor(factor: Float[Array, "size size"]) -> Float[Array, "size size"]:
    """Invert a lower triangular matrix by block doubling.

    Inverses of diagonal blocks of size 1, 2, 4, ... are combined in turn. With the inverse,
    a solve for many right-hand sides is one matrix product. LAPACK's triangular solver is
    avoided: its threads keep spinning and halve the speed of the products that follow.
    """
    size = factor.shape[0]
    padded_size = 1 << max(size - 1, 0).bit_length()
    identity = jnp.eye(padded_size - size, dtype=factor.dtype)
    padded = jax.scipy.linalg.block_diag(factor, identity)
    inverse = 1 / jnp.diagonal(padded)[:, None, None]
    for _ in range(padded_size.bit_length() - 1):
        count, width = len(inverse), inverse.shape[-1]
        blocks = padded.reshape(count, width, count, width)
        odd = jnp.arange(1, count, 2)
        first, last = inverse[0::2], inverse[1::2]
        corner = -last @ blocks[odd, :, odd - 1, :] @ first
        upper = jnp.concatenate([first, jnp.zeros_like(first)], axis=2)
        inverse = jnp.concatenate([upper, jnp.concatenate([corner, last], axis=2)], axis=1)
    return inverse[0, :size, :size]
