"""Parts that a config names, for training runs and fits alike."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

from ..mechanics import (
    AbstractDissipation,
    CoulombDissipation,
    NoDissipation,
    SumDissipation,
    ViscousDissipation,
)
from ..models import Activation, Network, softplus

ACTIVATIONS: dict[str, Activation] = {
    "softplus": softplus,
    "tanh": jnp.tanh,
    "silu": jax.nn.silu,
    "elu": jax.nn.elu,
    "relu": jax.nn.relu,
}


def make_optimiser(
    name: str, rate: float | optax.Schedule, clip: float
) -> optax.GradientTransformation:
    """The Optax optimiser of that name, of gradients that are clipped by their norm."""
    make: Callable[..., optax.GradientTransformation] = getattr(optax, name)
    return optax.chain(optax.clip_by_global_norm(clip), make(rate))


class DecayState(NamedTuple):
    """What is remembered of decay.

    **Attributes:** `updates`, how many there have been; `strength`, what is taken off for a
    rate of 1.
    """

    updates: Int[Array, ""]
    strength: Float[Array, ""]


def with_decay(
    optimiser: optax.GradientTransformation, rate: optax.Schedule
) -> optax.GradientTransformation:
    """An optimiser after whose step weights decay, each by `strength` times the rate of itself.

    Decoupled from the gradient (Loshchilov & Hutter 2019, "Decoupled weight decay
    regularization"). What decays is what lies between the layers of a
    [`lagdyna.models.Network`][]; linear parts and biases stay. The strength is part of the
    state, 0 until [`decaying`][lagdyna.experiments._parts.decaying] sets it.
    """

    def init(params: PyTree) -> DecayState:
        del params
        return DecayState(jnp.zeros((), int), jnp.zeros((), float))

    def update(updates: PyTree, state: Any, params: PyTree = None) -> tuple[PyTree, DecayState]:
        taken = state.strength * rate(state.updates)

        def step(update: Array, weight: Array, decays: bool) -> Array:
            return update - jnp.astype(taken, weight.dtype) * weight if decays else update

        updates = jax.tree.map(step, updates, params, _decays(params))
        return updates, DecayState(state.updates + 1, state.strength)

    return optax.chain(optimiser, optax.GradientTransformation(init, update))


def decaying(state: PyTree, strength: Float[Array, ""]) -> PyTree:
    """The state of such an optimiser, with decay of that strength."""
    exactly = jnp.asarray(strength, state[-1].strength.dtype)  # no weak type
    return eqx.tree_at(lambda s: s[-1].strength, state, exactly)


def _decays(model: PyTree) -> PyTree:
    """For each leaf, whether it is a weight between the layers of a network."""

    def of(node: PyTree) -> PyTree:
        if not isinstance(node, Network):
            return False
        return eqx.tree_at(
            lambda network: [layer.weight for layer in network.layers],
            jax.tree.map(lambda _: False, node),
            [True for _ in node.layers],
        )

    return jax.tree.map(of, model, is_leaf=lambda node: isinstance(node, Network))


def number_of_weights(model: PyTree) -> int:
    """How many numbers are learned."""
    shaped = [leaf for leaf in jax.tree.leaves(model) if hasattr(leaf, "dtype")]
    return sum(leaf.size for leaf in shaped if jnp.issubdtype(leaf.dtype, jnp.inexact))


def falling(rate: float, updates: int, to: float = 0.01) -> optax.Schedule:
    """A learning rate that falls along a cosine, to a hundredth of itself by default."""
    return optax.cosine_decay_schedule(rate, updates, to)


def make_dissipation(name: str, n: int) -> AbstractDissipation:
    """The friction of that name on `n` coordinates, at first a little of it.

    **Arguments:** `name`: `none`, `viscous`, `coulomb`, or `both`.
    """
    little = jnp.full(n, 0.01)
    parts: list[AbstractDissipation] = []
    if name in ("viscous", "both"):
        parts.append(ViscousDissipation(little))
    if name in ("coulomb", "both"):
        parts.append(CoulombDissipation(little))
    if len(parts) > 1:
        return SumDissipation(tuple(parts))
    return parts[0] if parts else NoDissipation()
