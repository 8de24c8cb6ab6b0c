"""Learners that say now and then how it goes."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PRNGKeyArray, PyTree

from ...learners import (
    AbstractLoss,
    AbstractSquaredLoss,
    GradientLearner,
    LevenbergMarquardtLearner,
    fit,
)

Model = TypeVar("Model")
_PIECE = 20


def least_squares(
    model: Model,
    loss: AbstractSquaredLoss,
    data: PyTree,
    updates: int,
    tell: Callable[[str], None],
    *,
    key: PRNGKeyArray,
) -> Model:
    """The model after so many updates on all the data, a multiple of twenty."""
    learner = LevenbergMarquardtLearner(loss)
    state = learner.init(model)
    for done in range(0, updates, _PIECE):
        fitted = fit(model, learner, data, key=key, steps=_PIECE, batch_size=None, state=state)
        model, state = fitted.model, jax.block_until_ready(fitted.state)
        last = float(fitted.metrics["loss"][-1])
        tell(f"{done + _PIECE} of {updates} updates, loss {last:.2g}")
    return model


def adam(
    model: Model,
    loss: AbstractLoss,
    data: PyTree,
    updates: int,
    rate: float,
    tell: Callable[[str], None],
    *,
    key: PRNGKeyArray,
) -> Model:
    """The model after so many updates of 512 rows, the rate falling along a cosine."""
    optimiser = optax.adam(optax.cosine_decay_schedule(rate, updates, 1e-4))
    learner, piece = GradientLearner(optimiser, loss), updates // 20
    state = learner.init(model)
    for i, piece_key in enumerate(jax.random.split(key, 20)):
        fitted = fit(
            model, learner, data, key=piece_key, steps=piece, batch_size=512, state=state
        )
        model, state = fitted.model, jax.block_until_ready(fitted.state)
        last = float(jnp.mean(fitted.metrics["loss"]))
        tell(f"{(i + 1) * piece} of {updates} updates, loss {last:.2g}")
    return model
