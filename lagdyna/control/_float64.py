"""Double precision for what is computed once: equilibria and gains."""

from contextlib import AbstractContextManager
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp

T = TypeVar("T")


def float64() -> AbstractContextManager[Any]:
    """Return a context in which JAX computes in float64, regardless of its settings."""
    return jax.enable_x64(True)


def to_float64(tree: T) -> T:
    """Convert the weights of a PyTree to float64; call it within `float64`."""
    return jax.tree.map(
        lambda x: jnp.asarray(x, jnp.float64) if eqx.is_inexact_array(x) else x, tree
    )
