import enum

import equinox as eqx
from jaxtyping import Array, Bool, Float, Int

from .._errors import UserError
from ..mechanics import State


class PlanError(UserError):
    """Error of a plan that did not converge or does not reach its goal.

    The command line prints the sentence and exits with code 1.
    """


class PlanStatus(enum.IntEnum):
    """Why a planner ended."""

    RUNNING = 0
    CONVERGED = 1
    ITERATIONS = 2
    NO_DESCENT = 3
    NOT_FINITE = 4

    @property
    def sentence(self) -> str:
        """Description for users."""
        return {
            PlanStatus.RUNNING: "the planner has not ended",
            PlanStatus.CONVERGED: "the plan is a local optimum, and follows the model",
            PlanStatus.ITERATIONS: "the planner reached its limit of iterations; give more",
            PlanStatus.NO_DESCENT: (
                "no step lowers the cost, though the plan is not stationary; the model or the "
                "cost may not be smooth, and float64 may help"
            ),
            PlanStatus.NOT_FINITE: (
                "the model or the cost is not finite along the first guess; give a guess of "
                "smaller actions, or a guess of the states"
            ),
        }[self]


class Plan(eqx.Module):
    """Planned motion and what is known about it.

    **Attributes:**

    - `states`: the states, shapes `(time + 1, n)`, the first included.
    - `actions`: the actions, within their limits, shape `(time, m)`.
    - `cost`: the cost of these states and actions.
    - `largest_defect`: largest difference between a state and the model's prediction from the
        one before; 0 if `states` are a rollout of `actions`.
    - `iterations`: number of iterations.
    - `status`: a [`lagdyna.control.PlanStatus`][], as an integer array.
    """

    states: State
    actions: Float[Array, "*batch time m"]
    cost: Float[Array, "*batch"]
    largest_defect: Float[Array, "*batch"]
    iterations: Int[Array, "*batch"]
    status: Int[Array, "*batch"]

    @property
    def converged(self) -> Bool[Array, "*batch"]:
        """Whether the plan is a local optimum whose states follow the model."""
        return self.status == PlanStatus.CONVERGED

    @property
    def reason(self) -> str:
        """Sentence that says why the planner ended; of a single plan, outside of `jit`."""
        return PlanStatus(int(self.status)).sentence

    def require_converged(self) -> "Plan":
        """Return the plan itself if it converged.

        **Raises:** [`lagdyna.control.PlanError`][] with the reason otherwise.
        """
        if not bool(self.converged):
            raise PlanError(
                f"the plan did not converge in {int(self.iterations)} iterations (cost "
                f"{float(self.cost):.4g}, largest defect {float(self.largest_defect):.2g}): "
                f"{self.reason}"
            )
        return self
