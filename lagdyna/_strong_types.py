import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PyTree


def strongly_typed(tree: PyTree) -> PyTree:
    """Give every array its own type in place of a weak one, with the same values.

    Updates return strong types, for which a compiled program of weak ones is compiled again.
    """

    def convert(x: object) -> object:
        return jnp.asarray(x, x.dtype) if isinstance(x, jax.Array) and x.weak_type else x

    return jax.tree.map(convert, tree, is_leaf=eqx.is_array)
