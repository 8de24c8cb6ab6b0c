from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Activation = Callable[[Float[Array, "..."]], Float[Array, "..."]]
"""Elementwise activation function."""


@jax.custom_jvp
def softplus(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Compute `log(1 + exp(x))` with cheap higher derivatives.

    Accelerations use derivatives of a network, and training differentiates them again.
    `jax.nn.softplus` evaluates a new exponential in each derivative. Here the value and the
    derivatives of all orders share one exponential, which the compiler reuses. This makes
    rollouts through a DeLaN and their gradients a third faster. The absolute error is at
    rounding level. The relative error is not small for values below 1e-7.
    """
    return jnp.maximum(x, 0) + jnp.log(1 + jnp.exp(-jnp.abs(x)))


@jax.custom_jvp
def _sigmoid(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    e = jnp.exp(-jnp.abs(x))
    r = 1 / (1 + e)
    return jnp.where(x >= 0, r, e * r)


@softplus.defjvp
def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    return softplus(x), _sigmoid(x) * dx


@_sigmoid.defjvp
def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    s = _sigmoid(x)
    return s, s * (1 - s) * dx
