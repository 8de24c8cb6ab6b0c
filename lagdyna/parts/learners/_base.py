import abc
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from ...options import Count, Family, Part

if TYPE_CHECKING:
    from jaxtyping import Array, Float, PyTree, Scalar, UInt

    import lagdyna.learners


LEARNERS = Family("learner", "learner", "adam", group="lagdyna.learners")
"""Learners of the dynamics by name."""


class Usual(NamedTuple):
    """Usual size of learning.

    **Attributes:** `updates`, per fit or per training phase; `batch`, rows per update.
    """

    updates: int
    batch: int


class Budget(NamedTuple):
    """Facts of a fit that a learner may depend on.

    **Attributes:**

    - `updates`: how many there will be.
    - `repeats`: how often each row of data will be used.
    - `seed`: of everything random in the learner.
    - `weight_decay`: whether any weights decay in this run.
    - `errors`: how many errors the rows of an update have, if that is known.
    """

    updates: int
    repeats: "float | Scalar" = 1.0
    seed: "int | UInt[Array, '']" = 0
    weight_decay: bool = True
    errors: int | None = None


@LEARNERS
class LearnerConfig(Part, frozen=True, kw_only=True):
    """Options of a learner and the method that builds it.

    **Arguments:**

    - `updates`: updates per training phase, or of a whole fit.
    - `batch`: rows, steps or windows per update.

    **Attributes:** (of the class)

    - `usual_phase`, `usual_fit`: the usual size of a training phase and of a fit.
    - `is_filter`: whether it leaves a posterior.
    - `squared`: whether it needs a loss that is a sum of squares.
    - `same_batch`: whether all updates of a phase or fit should use the same rows.
    """

    updates: Count | None = None
    batch: Count | None = None

    usual_phase: ClassVar[Usual] = Usual(2000, 64)
    usual_fit: ClassVar[Usual] = Usual(10_000, 256)
    is_filter: ClassVar[bool] = False
    squared: ClassVar[bool] = False
    same_batch: ClassVar[bool] = False

    @abc.abstractmethod
    def build(
        self, loss: "lagdyna.learners.AbstractLoss", budget: Budget
    ) -> "lagdyna.learners.AbstractLearner":
        """Build the learner that reduces a loss.

        **Arguments:** `loss`, a [`lagdyna.learners.AbstractSquaredLoss`][] where `squared` is
        set; `budget`, what is known of the fit.
        """

    def resolved(self, weights: "list[PyTree]") -> "LearnerConfig":
        """Fill options that depend on the weights to learn, of which shapes suffice."""
        del weights
        return self

    def memory(self, weights: "list[PyTree]") -> int:
        """Bytes that the learner holds beside the weights while it updates them."""
        del weights
        return 0

    def with_weight_decay(self, state: Any, strength: "Float[Array, '']") -> Any:
        """Set the strength of weight decay in the learner's state, if it has any."""
        del strength
        return state
