"""Optax optimisers with clipped gradients and an annealed weight decay."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

from ..models import Network


def make_optimiser(
    name: str, rate: float | optax.Schedule, clip: float
) -> optax.GradientTransformation:
    """Create an Optax optimiser by name, with gradients clipped by their global norm.

    **Arguments:** `name`, of a function of Optax such as `adam`; `rate`, the learning rate;
    `clip`, the largest norm.
    """
    make: Callable[..., optax.GradientTransformation] = getattr(optax, name)
    return optax.chain(optax.clip_by_global_norm(clip), make(rate))


class WeightDecayState(NamedTuple):
    """State of the weight decay.

    **Attributes:** `updates`, the number of updates so far; `strength`, the decay of an update
    with a learning rate of 1.
    """

    updates: Int[Array, ""]
    strength: Float[Array, ""]


def with_weight_decay(
    optimiser: optax.GradientTransformation, rate: optax.Schedule
) -> optax.GradientTransformation:
    """Add decoupled weight decay to an optimiser (Loshchilov & Hutter 2019).

    Each update takes `strength * rate * weight` off the weights between the layers of a
    [`lagdyna.models.Network`][]; linear parts and biases do not decay. The strength is 0 until
    [`lagdyna.learners.set_weight_decay`][] sets it. It is part of the state because it is
    annealed from phase to phase, while the programs of a run are compiled once.
    """

    def init(params: PyTree) -> WeightDecayState:
        del params
        return WeightDecayState(jnp.zeros((), int), jnp.zeros((), float))

    def update(
        updates: PyTree, state: Any, params: PyTree = None
    ) -> tuple[PyTree, WeightDecayState]:
        decay = state.strength * rate(state.updates)

        def step(update: Array, weight: Array, decays: bool) -> Array:
            return update - jnp.astype(decay, weight.dtype) * weight if decays else update

        updates = jax.tree.map(step, updates, params, _decay_mask(params))
        return updates, WeightDecayState(state.updates + 1, state.strength)

    return optax.chain(optimiser, optax.GradientTransformation(init, update))


def set_weight_decay(state: PyTree, strength: Float[Array, ""]) -> PyTree:
    """Set the strength of the weight decay in the state of an optimiser.

    **Arguments:** `state`, of an optimiser made by
    [`lagdyna.learners.with_weight_decay`][].
    """
    exactly = jnp.asarray(strength, state[-1].strength.dtype)  # no weak type
    return eqx.tree_at(lambda s: s[-1].strength, state, exactly)


def _decay_mask(model: PyTree) -> PyTree:
    """Mark each leaf that is a weight between the layers of a network."""

    def of(node: PyTree) -> PyTree:
        if not isinstance(node, Network):
            return False
        return eqx.tree_at(
            lambda network: [layer.weight for layer in network.layers],
            jax.tree.map(lambda _: False, node),
            [True for _ in node.layers],
        )

    return jax.tree.map(of, model, is_leaf=lambda node: isinstance(node, Network))


def count_weights(model: PyTree) -> int:
    """Count the trainable numbers of a model; shapes suffice."""
    shaped = [leaf for leaf in jax.tree.leaves(model) if hasattr(leaf, "dtype")]
    return sum(leaf.size for leaf in shaped if jnp.issubdtype(leaf.dtype, jnp.inexact))
