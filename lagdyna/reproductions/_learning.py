"""Fits in pieces, which report their progress."""

from typing import TypeVar

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PRNGKeyArray, PyTree

from ..learners import (
    AbstractLoss,
    AbstractSquaredLoss,
    GradientLearner,
    LevenbergMarquardtLearner,
    fit,
)
from ._reproduction import PartProgress

Model = TypeVar("Model")
_PIECE = 20


def least_squares(
    model: Model,
    loss: AbstractSquaredLoss,
    data: PyTree,
    updates: int,
    progress: PartProgress,
    *,
    key: PRNGKeyArray,
) -> Model:
    """Fit a model by Levenberg-Marquardt updates on all data.

    **Arguments:** `updates`, a multiple of 20.
    """
    learner = LevenbergMarquardtLearner(loss)
    state = learner.init(model)
    for done in range(0, updates, _PIECE):
        fitted = fit(model, learner, data, key=key, steps=_PIECE, batch_size=None, state=state)
        model, state = fitted.model, jax.block_until_ready(fitted.state)
        last = float(fitted.metrics["loss"][-1])
        progress(f"{done + _PIECE} of {updates} updates, loss {last:.2g}")
    return model


def adam(
    model: Model,
    loss: AbstractLoss,
    data: PyTree,
    updates: int,
    rate: float,
    progress: PartProgress,
    *,
    key: PRNGKeyArray,
) -> Model:
    """Fit a model by Adam on batches of 512 rows; the rate falls along a cosine.

    **Arguments:** `updates`, a multiple of 20.
    """
    optimiser = optax.adam(optax.cosine_decay_schedule(rate, updates, 1e-4))
    learner, piece = GradientLearner(optimiser, loss), updates // 20
    state = learner.init(model)
    for i, piece_key in enumerate(jax.random.split(key, 20)):
        fitted = fit(
            model, learner, data, key=piece_key, steps=piece, batch_size=512, state=state
        )
        model, state = fitted.model, jax.block_until_ready(fitted.state)
        last = float(jnp.mean(fitted.metrics["loss"]))
        progress(f"{(i + 1) * piece} of {updates} updates, loss {last:.2g}")
    return model
