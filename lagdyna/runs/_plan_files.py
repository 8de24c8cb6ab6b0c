"""Files of a plan: arrays and a figure."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..control import ActionBox, DrivenTransition, Equilibrium, Plan, Tracker
from ..plot import plan as plan_figure
from ..plot import save
from ..results import replacing


def write_arrays(
    path: Path, transition: DrivenTransition, plan: Plan, tracker: Tracker | None
) -> None:
    """Write the plan for programs without lagdyna, with all actions of the model."""

    def rows(gains: Float[jax.Array, "*time m two_n"]) -> Float[jax.Array, "*time all two_n"]:
        return jnp.swapaxes(transition.full(jnp.swapaxes(gains, -1, -2)), -1, -2)

    q, qd = plan.states
    arrays = {"q": q, "qd": qd, "action": transition.full(plan.actions)}
    if tracker is not None:
        arrays["gains"] = rows(tracker.gains)
    if tracker is not None and tracker.goal is not None:
        goal = tracker.goal
        arrays |= {
            "goal_q": goal.equilibrium.state.q,
            "goal_action": transition.full(goal.equilibrium.action),
            "goal_gain": rows(goal.gain),
            "goal_value": goal.value,
            "region": tracker.region,
        }
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **{name: np.asarray(x) for name, x in arrays.items()})  # pyright: ignore[reportArgumentType]


def draw_plan(
    path: Path,
    transition: DrivenTransition,
    plan: Plan,
    goal: Equilibrium | None,
    box: ActionBox,
) -> None:
    """Plot coordinates and actions, with the goal, if there is one, and the limits."""
    names = [f"action {action}" for action in np.flatnonzero(transition.driven)]
    figure = plan_figure(
        plan.states.q,
        plan.actions,
        angles=transition.coordinates.angles,
        goal=None if goal is None else goal.state.q,
        limits=(box.lower, box.upper),
        names=names,
    )
    save(figure, path)
