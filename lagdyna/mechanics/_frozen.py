from typing import TypeVar

import equinox as eqx
import jax
from jaxtyping import PyTree

Tree = TypeVar("Tree", bound=PyTree)


def frozen(tree: Tree) -> Tree:
    """Return `tree` with gradients stopped at its arrays.

    Call it inside the differentiated function, where the model is used. It marks a computation
    (`jax.lax.stop_gradient`), not the arrays themselves.
    """
    arrays, rest = eqx.partition(tree, eqx.is_array)
    return eqx.combine(jax.lax.stop_gradient(arrays), rest)
