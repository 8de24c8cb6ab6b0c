"""Parts that a config names, for training runs and fits alike."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree

from ..mechanics import (
    AbstractDissipation,
    CoulombDissipation,
    NoDissipation,
    SumDissipation,
    ViscousDissipation,
)
from ..models import Activation, softplus

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
