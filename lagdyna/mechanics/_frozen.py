from typing import TypeVar

import equinox as eqx
import jax
from jaxtyping import PyTree

Tree = TypeVar("Tree", bound=PyTree)


def frozen(tree: Tree) -> Tree:
    """The same model, through which no gradient reaches its parameters.

    Called where a model is used, not once before: it marks a computation, not an array.
    """
    arrays, rest = eqx.partition(tree, eqx.is_array)
    return eqx.combine(jax.lax.stop_gradient(arrays), rest)
