"""Least squares with a word now and then on how it goes."""

from collections.abc import Callable
from typing import TypeVar

import jax
from jaxtyping import PRNGKeyArray, PyTree

from ...fit import AbstractSquaredLoss, LevenbergMarquardtLearner, fit

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
