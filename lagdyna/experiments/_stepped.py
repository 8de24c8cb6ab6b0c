"""Learning dynamics by shorter steps of the solver than they are used with."""

import dataclasses
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, PyTree, Scalar

from ..learners import AbstractSquaredLoss
from ..simulate import SolvedTransition


class SteppedLoss(AbstractSquaredLoss[SolvedTransition, PyTree]):
    """A loss of a transition that takes another number of steps of its solver.

    **Arguments:** `loss`, of transitions; `substeps`, equal steps within an action's time.
    """

    loss: AbstractSquaredLoss[Any, Any]
    substeps: int = eqx.field(static=True)

    def _stepped(self, transition: SolvedTransition) -> SolvedTransition:
        return dataclasses.replace(transition, substeps=self.substeps)

    def __call__(self, model: SolvedTransition, batch: PyTree) -> Scalar:
        return self.loss(self._stepped(model), batch)

    def errors(self, model: SolvedTransition, row: PyTree) -> Float[Array, " k"]:
        """Those of the transition in such steps."""
        return self.loss.errors(self._stepped(model), row)

    def observed_errors(self, model: SolvedTransition, row: PyTree) -> Float[Array, " k"]:
        """Those of the transition in such steps."""
        return self.loss.observed_errors(self._stepped(model), row)
