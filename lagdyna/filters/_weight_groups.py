"""Weights in the groups of a block covariance."""

from typing import Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

Blocks = Literal["full", "layer", "node", "weight"]
"""Weights that share a block of the covariance: all, or those of a layer, of a node, or one."""
Parts = tuple[Float[Array, "..."], ...]


def group_weights(weights: PyTree, blocks: Blocks) -> Parts:
    """Arrange a tree of weights in groups of independent blocks.

    **Arguments:**

    - `weights`: a tree of arrays.
    - `blocks`: block structure, see [`lagdyna.filters.KalmanLearner`][].

    **Returns:** a tuple of arrays of shape `(blocks, size)`. Blocks of one group are of equal
    size.
    """
    leaves = jax.tree_util.tree_leaves_with_path(weights)
    if blocks == "weight":
        return tuple(leaf.reshape(-1, 1) for _, leaf in leaves)
    if blocks == "node":
        return tuple(leaf.reshape(max(1, leaf.size // _width(leaf)), -1) for _, leaf in leaves)
    named: dict[str, list[Array]] = {}
    for path, leaf in leaves:
        group = jax.tree_util.keystr(path[:-1]) if blocks == "layer" else ""
        named.setdefault(group, []).append(leaf.reshape(-1))
    return tuple(jnp.concatenate(group)[None] for group in named.values())


@eqx.filter_jit
def scaled_identities(weights: PyTree, factor: float, blocks: Blocks) -> Parts:
    """Build `factor` times the identity for each block of weights."""
    return tuple(
        jnp.tile(factor * jnp.eye(group.shape[-1], dtype=group.dtype), (len(group), 1, 1))
        for group in group_weights(weights, blocks)
    )


def covariance_size(weights: PyTree, blocks: Blocks) -> int:
    """Count the entries of a block covariance from the shapes of the weights alone.

    **Arguments:**

    - `weights`: a tree of arrays.
    - `blocks`: block structure, see [`lagdyna.filters.KalmanLearner`][].

    **Returns:** the number of entries of all blocks.
    """
    groups = jax.eval_shape(lambda w: group_weights(w, blocks), weights)
    return sum(group.shape[0] * group.shape[1] ** 2 for group in groups)


def largest_block(weights: PyTree, blocks: Blocks) -> int:
    """Count the weights in the largest block from the shapes of the weights alone.

    **Arguments:**

    - `weights`: a tree of arrays.
    - `blocks`: block structure, see [`lagdyna.filters.KalmanLearner`][].

    **Returns:** the number of weights of that block.
    """
    groups = jax.eval_shape(lambda w: group_weights(w, blocks), weights)
    return max(group.shape[1] for group in groups)


def check_blocks(blocks: str) -> None:
    """Check that `blocks` is a known block structure.

    **Raises:** `ValueError` if it is not.
    """
    if blocks not in get_args(Blocks):
        raise ValueError(
            f"`blocks` must be one of {', '.join(get_args(Blocks))}, got {blocks!r}"
        )


def _width(leaf: Array) -> int:
    """Count the weights of one unit: the length of a matrix's row, or 1 for a bias."""
    return leaf.shape[-1] if leaf.ndim > 1 else 1
