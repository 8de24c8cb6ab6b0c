"""Purposes of plans: a goal to reach, or a reward to earn."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Scalar

from .._errors import UserError
from ..control import ActionBox, DrivenTransition, Equilibrium, GoalCost, Quadratic, RewardCost
from ..mechanics import State
from ..options import user_part
from ..simulate import AbstractTransition

# Weights of coordinates, velocities and actions as parts of their limits.
_STAGE, _FINAL, _EFFORT = (0.05, 0.005), (200.0, 20.0), 0.01
NEAR = 0.1  # rad, m, rad/s and m/s: the goal is reached
_POINTS = 16  # random states at which a reward is tried

PlanReward = Callable[[State, Float[Array, " m"]], Scalar]


class GoalPurpose(NamedTuple):
    """Goal of a plan.

    **Attributes:** `cost`; `goal`, the equilibrium.
    """

    cost: GoalCost
    goal: Equilibrium

    def distance(self, transition: AbstractTransition, state: State) -> float:
        """Compute the largest difference from the goal; infinite if it is not finite."""
        q = transition.coordinates.difference(state.q, self.goal.state.q)
        distance = float(np.max(np.abs(np.concatenate([q, state.qd]))))
        return distance if np.isfinite(distance) else np.inf


def goal_purpose(
    transition: AbstractTransition, goal: Equilibrium, box: ActionBox
) -> GoalPurpose:
    """Weigh the distance from a goal and the effort, as parts of their limits."""
    n = transition.coordinates.n
    cost = GoalCost(
        goal,
        transition.coordinates,
        state_weights=[x for x in _STAGE for _ in range(n)],
        action_weights=_EFFORT / np.asarray(box.upper) ** 2,
        final_weights=[x for x in _FINAL for _ in range(n)],
    )
    return GoalPurpose(cost, goal)


class RewardPurpose(NamedTuple):
    """Reward of a plan.

    **Attributes:** `cost`, of rewards less `offset`; `name`, of the reward function.
    """

    cost: RewardCost
    offset: float
    name: str

    def total(self, states: State, actions: Float[Array, "time m"]) -> Scalar:
        """Compute the sum of rewards of a motion, whose last state has none."""
        before = jax.tree.map(lambda x: x[:-1], states)
        return jnp.sum(self.offset - jax.vmap(self.cost.stage)(before, actions))


def reward_purpose(
    transition: DrivenTransition,
    given: str | PlanReward,
    start: State,
    box: ActionBox,
    seed: int,
) -> RewardPurpose:
    """Load a reward function, and try it at the start and at random states.

    **Raises:** `UserError` if it fails, or is not a finite number with finite derivatives, or
    if all of its derivatives are 0.
    """
    function = user_part("reward", given) if isinstance(given, str) else given
    if not callable(function):
        raise UserError(
            f"`reward` was {given!r}, of type {type(function).__name__}; a function of "
            "(state, action) is accepted"
        )

    def reward(state: State, action: Float[Array, " m"]) -> Any:
        return function(state, transition.full(action))

    # The planner converges relative to the cost, which a sum of rewards near 0 would spoil.
    offset = _try(RewardCost(reward), start, box, jax.random.key(seed))
    cost = RewardCost(lambda state, action: reward(state, action) - offset)
    name = given if isinstance(given, str) else getattr(given, "__name__", repr(given))
    return RewardPurpose(cost, offset, name)


def _try(cost: RewardCost, start: State, box: ActionBox, key: jax.Array) -> float:
    """Evaluate a reward and its derivatives at the start and around it.

    **Returns:** the largest magnitude of the reward there.
    """
    n, dtype = start.q.shape[0], start.q.dtype
    state_key, action_key = jax.random.split(key)
    moved = jax.random.normal(state_key, (_POINTS + 1, 2, n), dtype).at[0].set(0)
    states = State(start.q + moved[:, 0], start.qd + moved[:, 1])
    lower, upper = (jnp.asarray(x, dtype) for x in (box.lower, box.upper))
    share = jax.random.uniform(action_key, (_POINTS + 1, box.size), dtype)
    actions = (lower + share * (upper - lower)).at[0].set(0)

    def evaluate(state: State, action: Float[Array, " m"]) -> tuple[Scalar, Quadratic]:
        return cost.stage(state, action), cost.expand_stage(state, action)

    try:
        values, expansion = jax.tree.map(np.asarray, jax.vmap(evaluate)(states, actions))
    except UserError:
        raise
    except Exception as error:  # a user's code may raise anything
        first = (str(error).splitlines() or [""])[0]
        raise UserError(
            f"`reward` failed: {type(error).__name__}: {first}; a function of (state, action) "
            "in jax.numpy that returns one number is accepted"
        ) from error
    if not np.isfinite(values[0]):
        raise UserError(
            f"`reward` was {-values[0]} at {_point(states, actions, 0)}, the start; a finite "
            "number is accepted"
        )
    finite = np.isfinite(values)
    for i in np.flatnonzero(finite).tolist():
        if not all(np.isfinite(x[i]).all() for x in expansion):
            raise UserError(
                f"the derivatives of `reward` are not finite at {_point(states, actions, i)}; "
                "a function that can be differentiated twice is accepted; if a square root or "
                "a norm is the cause, add a small number under it"
            )
    if not np.any(expansion.gradient[finite]):
        raise UserError(
            f"the derivatives of `reward` are 0 at the start and {_POINTS} states around it, "
            "so no plan can be improved by them; a smooth function is accepted, not one that "
            "is constant or jumps"
        )
    return float(np.abs(values[finite]).max())


def _point(states: State, actions: Float[Array, "points m"], i: int) -> str:
    """Write the arguments of a reward."""
    named = {"q": states.q, "qd": states.qd, "action": actions}
    return ", ".join(
        f"{name}={','.join(f'{x:.3g}' for x in np.asarray(values[i]))}"
        for name, values in named.items()
    )
