from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..mechanics import State
from ..simulate import AbstractTransition, rollout
from ._controller import AbstractController
from ._costs import AbstractCost
from ._ilqr import ILQR
from ._sampling import shift


class MPCMemory(NamedTuple):
    """Plan of the last step, from which the next begins.

    **Attributes:** `states` and `actions`, shapes `(horizon + 1, n)` and `(horizon, m)`.
    """

    states: State
    actions: Float[Array, "horizon m"]


class MPC(AbstractController):
    """Model predictive control by iLQR, warm-started from the plan of the last step.

    Each step shifts the last plan by one action, starts it in the current state, improves it
    for a few iterations, and takes its first action (Tassa, Erez & Todorov 2012). The gap
    between the current state and the one that was planned is a defect of multiple shooting, so
    the plan need not be simulated anew.

    **Arguments:**

    - `transition`: the model.
    - `cost`: what to minimise over the horizon.
    - `planner`: the planner. Its `iterations` are those of each step; 1 to 5 are usual, and a
        small first `regularisation`, since the guess is good.
    - `horizon`: number of steps that each plan looks ahead.
    - `guess`: actions of the plan before the first step, shape `(horizon, m)`; zeros by
        default.

    **Raises:** `ValueError` if `horizon` is not positive, or for a `guess` of another shape.
    """

    transition: AbstractTransition
    cost: AbstractCost
    planner: ILQR
    horizon: int = eqx.field(static=True)
    guess: Float[Array, "horizon m"] | None = None

    def __check_init__(self):
        shape = (self.horizon, self.planner.box.size)
        found = shape if self.guess is None else self.guess.shape
        if self.horizon < 1 or found != shape:
            raise ValueError(
                f"`horizon` was {self.horizon} and `guess` has shape {found}; a horizon of 1 "
                f"or more and a guess of shape (horizon, {shape[1]}) are accepted"
            )

    def init(self, state: State) -> MPCMemory:
        shape = (self.horizon, self.planner.box.size)
        guess = jnp.zeros(shape, state.q.dtype) if self.guess is None else self.guess
        guess = self.planner.box.clip(guess)
        return MPCMemory(rollout(self.transition, state, guess), guess)

    def control(self, memory: MPCMemory, state: State) -> tuple[Float[Array, " m"], MPCMemory]:
        plan = self.planner.solve(
            self.transition, self.cost, state, memory.actions, memory.states
        )
        last = jax.tree.map(lambda x: x[-1], plan.states)
        after = self.transition.step(last, plan.actions[-1])
        states = jax.tree.map(
            lambda x, new: jnp.concatenate([x[1:], new[None]]), plan.states, after
        )
        # A model that is not finite somewhere must not spoil the plans to come.
        finite = jnp.all(jnp.isfinite(states.q) & jnp.isfinite(states.qd))
        states = jax.tree.map(
            lambda x, now: jnp.where(finite, x, jnp.broadcast_to(now, x.shape)), states, state
        )
        return plan.actions[0], MPCMemory(states, shift(plan.actions))
