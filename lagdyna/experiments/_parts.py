"""Parts that a config names, for training runs and fits alike."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree, Scalar

from ..fit import AbstractSquaredLoss, KalmanLearner
from ..mechanics import (
    AbstractDissipation,
    CoulombDissipation,
    NoDissipation,
    SumDissipation,
    ViscousDissipation,
)
from ..models import Activation, softplus
from ._config import FilterConfig
from ._errors import UserError

LARGEST = 16_000  # weights of which a square matrix, about 1 GB, is held

ACTIVATIONS: dict[str, Activation] = {
    "softplus": softplus,
    "tanh": jnp.tanh,
    "silu": jax.nn.silu,
    "elu": jax.nn.elu,
}


def make_optimiser(
    name: str, rate: float | optax.Schedule, clip: float
) -> optax.GradientTransformation:
    """The Optax optimiser of that name, of gradients that are clipped by their norm."""
    make: Callable[..., optax.GradientTransformation] = getattr(optax, name)
    return optax.chain(optax.clip_by_global_norm(clip), make(rate))


def make_filter(
    name: str, loss: AbstractSquaredLoss, options: FilterConfig, repeats: float | Scalar
) -> KalmanLearner:
    """The Kalman filter of that name.

    **Arguments:** `repeats`, how often each datum will be seen, if that is more than once.
    """
    blocks: Any = {"ekf": "full", "ekf-diagonal": "weight"}.get(name, options.blocks)
    return KalmanLearner(
        loss,
        blocks=blocks,
        prior=options.prior,
        noise=options.noise,
        process=options.process,
        process_decay=options.process_decay,
        fading=options.fading,
        iterations=options.iterations,
        repeats=jnp.maximum(repeats, 1.0),
    )


def check_size(option: str, name: str, hidden: tuple[int, ...], weights: int) -> None:
    """Refuses what would hold too large a matrix, before anything of it is there.

    **Raises:** `UserError` if a learner that solves with all weights is to learn too many.
    """
    if name in ("levenberg-marquardt", "ekf") and weights > LARGEST:
        raise UserError(
            f"`{option}` was {list(hidden)}, which makes {weights} weights; {name} holds a "
            f"matrix of their square, {4e-9 * weights**2:.1f} GB, and takes at most {LARGEST} "
            "weights: smaller layers are accepted, and ekf-block, ekf-diagonal or adam as "
            "`learner.name`"
        )


def number_of_weights(model: PyTree) -> int:
    """How many numbers are learned."""
    shaped = [leaf for leaf in jax.tree.leaves(model) if hasattr(leaf, "dtype")]
    return sum(leaf.size for leaf in shaped if jnp.issubdtype(leaf.dtype, jnp.inexact))


def falling(rate: float, updates: int) -> optax.Schedule:
    """A learning rate that falls to a hundredth of itself along a cosine."""
    return optax.cosine_decay_schedule(rate, updates, 0.01)


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
