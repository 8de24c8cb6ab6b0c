from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from .._errors import UserError
from ..mechanics import Coordinates, State
from ..simulate import AbstractTransition
from ._action_box import ActionBox
from ._controller import AbstractController
from ._linearise import linearise
from ._lqr import LQR
from ._plan import Plan
from ._vectors import difference
from ._weights import Weights, weight_matrix


class TrackerMemory(NamedTuple):
    """Memory of a tracker.

    **Attributes:**

    - `step`: the number of steps taken.
    - `caught`: whether the regulator at the goal has taken over.
    """

    step: Int[Array, ""]
    caught: Bool[Array, ""]


class Tracker(AbstractController):
    """Time-varying LQR along a plan, with a switch to a regulator at its goal.

    The regulator takes over at the end of the plan, or as soon as the state is within its
    region of attraction. Without one, the last gain and action of the plan are kept. Construct
    it by `Tracker.design`.

    **Arguments:**

    - `states`, `actions`: the plan, shapes `(time + 1, n)` and `(time, m)`.
    - `gains`: gain of each step, shape `(time, m, 2 n)`.
    - `box`: limits of the action.
    - `coordinates`: which coordinates are angles.
    - `goal`: regulator at the goal, if there is one.
    - `region`: value of the regulator below which it takes over; see
        [`lagdyna.control.region_of_attraction`][].
    """

    states: State
    actions: Float[Array, "time m"]
    gains: Float[Array, "time m two_n"]
    box: ActionBox
    coordinates: Coordinates
    goal: LQR | None
    region: Float[Array, ""]

    @classmethod
    def design(
        cls,
        transition: AbstractTransition,
        plan: Plan,
        box: ActionBox,
        *,
        goal: LQR | None = None,
        region: float = 0.0,
        state_weights: Weights = 1.0,
        action_weights: Weights | None = None,
        final_weights: Weights | None = None,
    ) -> "Tracker":
        """Design the gains by a Riccati recursion along the linearised plan.

        **Arguments:**

        - `transition`: the model.
        - `plan`: a plan that converged.
        - `box`: limits of the action.
        - `goal`, `region`: see the class.
        - `state_weights`, `action_weights`: as those of [`lagdyna.control.LQR`][].
        - `final_weights`: weights of the last state; by default the value function of `goal`,
            or else `state_weights`.

        **Raises:** [`lagdyna.control.PlanError`][] if the plan did not converge;
        [`lagdyna.UserError`][] for weights that are not positive.
        """
        plan.require_converged()
        size = 2 * transition.coordinates.n
        if action_weights is None:
            action_weights = 4 / (np.asarray(box.upper) - np.asarray(box.lower)) ** 2
        if final_weights is None:
            final_weights = state_weights if goal is None else np.asarray(goal.value)
        if not region >= 0:
            raise UserError(f"`region` was {region}; a value of 0 or more is accepted")
        dtype = plan.actions.dtype
        q, r, final = (
            jnp.asarray(weights, dtype)
            for weights in (
                weight_matrix("state_weights", state_weights, size),
                weight_matrix("action_weights", action_weights, box.size, definite=True),
                weight_matrix("final_weights", final_weights, size),
            )
        )
        gains, _ = tracking_gains(transition, plan.states, plan.actions, q, r, final)
        return cls(
            plan.states,
            plan.actions,
            gains,
            box,
            transition.coordinates,
            goal,
            jnp.asarray(region, dtype),
        )

    @property
    def steps(self) -> int:
        """Number of steps of the plan."""
        return self.actions.shape[0]

    def init(self, state: State) -> TrackerMemory:
        return TrackerMemory(jnp.zeros((), jnp.int32), jnp.zeros((), bool))

    def control(
        self, memory: TrackerMemory, state: State
    ) -> tuple[Float[Array, " m"], TrackerMemory]:
        step, caught = memory
        index = jnp.minimum(step, self.steps - 1)
        # After its end, a plan without a regulator holds its last state.
        planned = jax.tree.map(lambda x: x[jnp.minimum(step, self.steps)], self.states)
        x = difference(self.coordinates, state, planned)
        action = self.box.clip(self.actions[index] - self.gains[index] @ x)
        if self.goal is not None:
            caught |= (step >= self.steps) | (self.goal.value_of(state) < self.region)
            action = jnp.where(caught, self.goal(state), action)
        return action, TrackerMemory(step + 1, caught)


@eqx.filter_jit
def tracking_gains(
    transition: AbstractTransition,
    states: State,
    actions: Float[Array, "time m"],
    state_weights: Float[Array, "two_n two_n"],
    action_weights: Float[Array, "m m"],
    final_weights: Float[Array, "two_n two_n"],
) -> tuple[Float[Array, "time m two_n"], Float[Array, "time two_n two_n"]]:
    """Design a time-varying LQR along a motion, from its last step to its first.

    **Arguments:**

    - `transition`: the model, linearised along the motion.
    - `states`, `actions`: the motion, shapes `(time + 1, n)` and `(time, m)`.
    - `state_weights`, `action_weights`: weights of deviations in each step.
    - `final_weights`: weights of the last state's deviation.

    **Returns:** the gain `K` of each step and its value matrix `P`: the action is
    `u - K x`, and the cost to go `x' P x`, for a deviation `x` of `(q, qd)`.
    """
    before = jax.tree.map(lambda x: x[:-1], states)
    linear = jax.vmap(lambda s, u: linearise(transition, s, u))(before, actions)

    def body(value: Array, step: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
        a, b = step
        gain = jnp.linalg.solve(action_weights + b.T @ value @ b, b.T @ value @ a)
        closed = a - b @ gain
        # Joseph's form keeps the value positive in float32.
        value = state_weights + gain.T @ action_weights @ gain + closed.T @ value @ closed
        value = 0.5 * (value + value.T)
        return value, (gain, value)

    return jax.lax.scan(body, final_weights, (linear.a, linear.b), reverse=True)[1]
