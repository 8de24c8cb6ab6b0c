"""Options and builders of losses."""

import abc
from typing import TYPE_CHECKING, ClassVar, Literal

from ..options import Count, Family, Part

if TYPE_CHECKING:
    import lagdyna.learners
    import lagdyna.mechanics


LOSSES = Family("loss", "loss", "auto")
"""Losses of the dynamics by name."""

Norm = Literal["pseudo-huber", "squared"]


@LOSSES
class LossConfig(Part, frozen=True, kw_only=True):
    """Loss of the dynamics model.

    **Attributes:** (of the class) `needs`, the recorded array that it compares besides
    states; `None` if there is none.
    """

    needs: ClassVar[str | None] = None


class AutoLossConfig(LossConfig, frozen=True, kw_only=True, tag="auto"):
    """`forward` if accelerations are recorded and the model has them, else `one-step`."""


class StepsLossConfig(LossConfig, frozen=True, kw_only=True):
    """Loss of predicted states, through the solver.

    **Arguments:**

    - `norm`: `squared`, the mean of squared scaled errors; or `pseudo-huber`, which is linear
        in large errors, see [`lagdyna.learners.PseudoHuberLoss`][]. By default `pseudo-huber`
        for an optimiser in a training run, else `squared`.
    - `substeps`: solver substeps per action while the model is learned. By default as many as
        the solver's; in a training run at least one per environment step, so that the error
        of long solver steps is not learned as physics.
    """

    norm: Norm | None = None
    substeps: Count | None = None

    @abc.abstractmethod
    def build(self, scale: "lagdyna.mechanics.State") -> "lagdyna.learners.AbstractSquaredLoss":
        """Build the loss.

        **Arguments:** `scale`, the usual change of a state in one step.
        """

    @property
    def length(self) -> int:
        """Steps in a row of data."""
        return 1


class OneStepLossConfig(StepsLossConfig, frozen=True, kw_only=True, tag="one-step"):
    """Error of the next state; see [`lagdyna.learners.OneStepLoss`][]."""

    def build(self, scale: "lagdyna.mechanics.State") -> "lagdyna.learners.AbstractSquaredLoss":
        from ..learners import OneStepLoss

        return OneStepLoss(scale)


class MultiStepLossConfig(StepsLossConfig, frozen=True, kw_only=True, tag="multi-step"):
    """Errors along a window of predicted states; see [`lagdyna.learners.MultiStepLoss`][].

    **Arguments:**

    - `window`: steps in a window.
    - `estimate_start`: whether the initial state of each window is estimated through the model,
        from all states of the window; see [`lagdyna.learners.EstimatedStartLoss`][]. For noisy
        states; several times slower. Velocities that were not recorded then hardly count, and
        windows must be long enough to tell them.
    """

    window: Count = 8
    estimate_start: bool = False

    def build(self, scale: "lagdyna.mechanics.State") -> "lagdyna.learners.AbstractSquaredLoss":
        from ..learners import EstimatedStartLoss, MultiStepLoss

        loss = MultiStepLoss(scale)
        return EstimatedStartLoss(loss) if self.estimate_start else loss

    @property
    def length(self) -> int:
        return self.window


class ForwardLossConfig(LossConfig, frozen=True, kw_only=True, tag="forward"):
    """Error of the acceleration; needs recorded accelerations.

    See [`lagdyna.learners.ForwardLoss`][].
    """

    needs: ClassVar[str | None] = "qdd"


class InverseLossConfig(LossConfig, frozen=True, kw_only=True, tag="inverse"):
    """Error of the generalised force; needs recorded accelerations.

    Cheaper than `forward`. A motion that is mostly free determines the masses badly, since
    masses of 0 explain forces of 0. See [`lagdyna.learners.InverseLoss`][].
    """

    needs: ClassVar[str | None] = "qdd"


LOSSES.add(
    AutoLossConfig,
    OneStepLossConfig,
    MultiStepLossConfig,
    ForwardLossConfig,
    InverseLossConfig,
)
