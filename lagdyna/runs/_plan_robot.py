"""Limits of robots, and plans that begin at a straight line between two poses."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..control import (
    ILQR,
    AbstractCost,
    ActionBox,
    DrivenTransition,
    Equilibrium,
    Plan,
    PlanStatus,
)
from ..mechanics import State
from ..simulate import LearnedModel
from ..systems import RobotModel
from ._plan_film import seconds_of

_MISSING = 0.5  # excess of an action, in parts of its limit, with which a line is still tried


class JointRanges(NamedTuple):
    """Limits of a robot description, in the order of the coordinates.

    **Attributes:** `lower`, `upper`, of `(q, qd)`, infinite for none; `effort`, of forces;
    `names`, of the joints.
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]
    effort: tuple[float, ...]
    names: tuple[str, ...]

    def broken(self, excess: np.ndarray) -> str:
        """Name the joint that is furthest beyond its limits.

        **Arguments:** `excess`, of each step, shape `(time, 2 n)`.
        """
        worst, n = int(np.argmax(excess.max(axis=0))), len(self.names)
        what = "position" if worst < n else "speed"
        return f"the {what} of {self.names[worst % n]}"


def joint_ranges(model: LearnedModel) -> JointRanges | None:
    """Return the limits of a model with a robot description; `None` without one."""
    if not model.has_lagrangian:
        return None
    robot = model.system.lagrangian
    if not isinstance(robot, RobotModel) or robot.description is None:
        return None
    links = robot.description.links
    speeds = tuple(link.velocity if link.velocity > 0 else np.inf for link in links)
    return JointRanges(
        (*(link.lower for link in links), *(-x for x in speeds)),
        (*(link.upper for link in links), *speeds),
        tuple(link.effort for link in links),
        tuple(link.joint for link in links),
    )


def straight_plan(
    model: LearnedModel,
    transition: DrivenTransition,
    cost: AbstractCost,
    start: State,
    goal: Equilibrium,
    box: ActionBox,
    steps: int,
) -> Plan | None:
    """Plan from a smooth straight line to the goal and the forces that it needs.

    **Returns:** `None` if the model has no inverse dynamics, if not every coordinate is driven,
    if the line needs actions far beyond their limits, or if the plan did not converge.
    """
    n, dt = start.q.shape[0], seconds_of(transition.transition)
    if not model.has_lagrangian or box.size != n or dt is None or steps < 1:
        return None
    t = jnp.linspace(0, 1, steps + 1)[:, None]
    way = transition.coordinates.difference(goal.state.q, start.q)
    rate = way / (dt * steps)
    q = transition.coordinates.wrap(start.q + (10 * t**3 - 15 * t**4 + 6 * t**5) * way)
    qd = (30 * t**2 - 60 * t**3 + 30 * t**4) * rate
    qdd = (60 * t - 180 * t**2 + 120 * t**3) * rate / (dt * steps)
    forces = jax.vmap(model.system.inverse_dynamics)(q, qd, qdd)[:-1]
    if not jnp.all(jnp.abs(forces - box.clip(forces)) < _MISSING * jnp.asarray(box.upper)):
        return None
    guess = State(q, qd)
    plan = ILQR(box).solve(transition, cost, start, box.clip(forces), guess)
    return plan if int(plan.status) == PlanStatus.CONVERGED else None
