"""Files of a plan: arrays and a figure."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..control import ActionBox, DrivenTransition, Equilibrium, Plan, Tracker
from ..results import BLUE, ORANGE, blank, finish, replacing, save


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
    n, m = plan.states.q.shape[1], box.size
    figure = blank(6.4, 1.0 + 1.1 * (n + m))
    panels = figure.subplots(n + m, 1, sharex=True, squeeze=False)[:, 0]
    for i in range(n):
        curve = np.array(plan.states.q[:, i])
        if transition.coordinates.angles[i]:  # no line from pi to -pi
            curve[1:][np.abs(np.diff(curve)) > np.pi] = np.nan
        panels[i].plot(curve, color=BLUE, lw=1.2)
        if goal is not None:
            panels[i].axhline(float(goal.state.q[i]), color=ORANGE, lw=0.7, ls="--")
        panels[i].set_ylabel(f"q[{i}]", fontsize=8)
    for j, action in enumerate(np.flatnonzero(transition.driven)):
        axes = panels[n + j]
        axes.stairs(np.asarray(plan.actions[:, j]), color=BLUE, lw=1.2, baseline=None)
        for end in (box.lower[j], box.upper[j]):
            axes.axhline(end, color=ORANGE, lw=0.7, ls="--")
        axes.set_ylabel(f"action {action}", fontsize=8)
    for axes in panels:
        finish(axes)
    panels[0].set_title(
        "limits dashed" if goal is None else "goal and limits dashed", fontsize=9
    )
    panels[-1].set_xlabel("step")
    save(figure, path)
