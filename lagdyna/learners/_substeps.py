"""Losses that solve a transition with their own number of substeps."""

import dataclasses
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, PyTree, Scalar

from ..simulate import SolvedTransition
from ._losses import AbstractSquaredLoss


class SubstepsLoss(AbstractSquaredLoss[SolvedTransition, PyTree]):
    """Loss of a transition with its own number of solver substeps.

    Short steps in training keep the error of a solver's long steps out of the learned physics.

    **Arguments:** `loss`, of transitions; `substeps`, equal solver steps per action.
    """

    loss: AbstractSquaredLoss[Any, Any]
    substeps: int = eqx.field(static=True)

    def _with_substeps(self, transition: SolvedTransition) -> SolvedTransition:
        return dataclasses.replace(transition, substeps=self.substeps)

    def __call__(self, model: SolvedTransition, batch: PyTree) -> Scalar:
        return self.loss(self._with_substeps(model), batch)

    def errors(self, model: SolvedTransition, row: PyTree) -> Float[Array, " k"]:
        """Compute the errors of the transition with these substeps."""
        return self.loss.errors(self._with_substeps(model), row)

    def observed_errors(self, model: SolvedTransition, row: PyTree) -> Float[Array, " k"]:
        """Compute the errors of the transition with these substeps, in observed units."""
        return self.loss.observed_errors(self._with_substeps(model), row)
