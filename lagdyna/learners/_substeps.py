"""Losses that solve a transition with their own number of substeps."""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, PyTree, Scalar

from ..simulate import AbstractTransition, with_substeps
from ._losses import AbstractSquaredLoss


class SubstepsLoss(AbstractSquaredLoss[AbstractTransition, PyTree]):
    """Loss of a transition with its own number of solver substeps.

    Short steps in training keep the error of a solver's long steps out of the learned physics.

    **Arguments:** `loss`, of transitions; `substeps`, equal solver steps per action.
    """

    loss: AbstractSquaredLoss[Any, Any]
    substeps: int = eqx.field(static=True)

    def __call__(self, model: AbstractTransition, batch: PyTree) -> Scalar:
        return self.loss(with_substeps(model, self.substeps), batch)

    def errors(self, model: AbstractTransition, row: PyTree) -> Float[Array, " k"]:
        """Compute the errors of the transition with these substeps."""
        return self.loss.errors(with_substeps(model, self.substeps), row)

    def observed_errors(self, model: AbstractTransition, row: PyTree) -> Float[Array, " k"]:
        """Compute the errors of the transition with these substeps, in observed units."""
        return self.loss.observed_errors(with_substeps(model, self.substeps), row)
