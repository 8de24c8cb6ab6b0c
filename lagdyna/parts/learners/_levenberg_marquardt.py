from typing import TYPE_CHECKING, Any, ClassVar

from ...options import Positive
from ._base import Budget, LearnerConfig, Usual
from ._memory import held_bytes

if TYPE_CHECKING:
    from jaxtyping import PyTree

    import lagdyna.learners


class LevenbergMarquardtConfig(
    LearnerConfig, frozen=True, kw_only=True, tag="levenberg-marquardt"
):
    """Damped Gauss-Newton steps, for small models and errors far below an optimiser's.

    See [`lagdyna.learners.LevenbergMarquardtLearner`][]. All updates use the same rows: all
    of the data, or `batch` of them if there are more.

    **Arguments:**

    - `damping`: of the first step, relative to the curvature of each weight.
    - `tolerance`: relative decrease of the loss below which the method has converged; further
        updates change nothing.
    - `precise`: whether steps of more than 200 weights are computed in double precision, as
        fits of a DeLaN of structure `chain` do by default.
    """

    damping: Positive = 1e-2
    tolerance: Positive = 1e-6
    precise: bool = False

    usual_phase: ClassVar[Usual] = Usual(20, 1024)
    usual_fit: ClassVar[Usual] = Usual(200, 8192)
    squared: ClassVar[bool] = True
    same_batch: ClassVar[bool] = True

    def build(self, loss: Any, budget: Budget) -> "lagdyna.learners.AbstractLearner":
        from ...learners import FrozenLoss, LevenbergMarquardtLearner

        del budget
        physical = isinstance(loss, FrozenLoss) and loss.parametrisation is not None
        return LevenbergMarquardtLearner(
            loss, self.damping, self.tolerance, physical, self.precise
        )

    def memory(self, weights: "list[PyTree]") -> int:
        return held_bytes(weights, "full")
