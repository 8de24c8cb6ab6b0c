"""Film of a plan of a system that can be drawn."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from ..control import ActionBox, DrivenTransition, Plan
from ..mechanics import MechanicalSystem
from ..results import filming
from ..simulate import AbstractTransition, LearnedModel, ScaledTransition
from ..tasks import TaskSpec, draw_chain, is_chain, known_equations

_SIZE = 240  # pixels


def film_plan(
    path: Path,
    model: LearnedModel,
    task: TaskSpec | None,
    transition: DrivenTransition,
    plan: Plan,
    box: ActionBox,
) -> None:
    """Film a plan of a pendulum or a planar chain; of other systems, write nothing.

    **Arguments:** `path`, of the film; `model`, of the run; `task`, of a training run;
    `transition`, `plan`, `box`, the model with the actions that act, and its plan.
    """
    system, dt = _drawable(model, task), seconds_of(model.transition)
    if system is None or dt is None:
        return
    q = np.asarray(plan.states.q)
    at = jax.vmap(system.actuation)
    forces = np.asarray(at(plan.states.q[:-1], transition.full(plan.actions)))
    largest = np.abs(np.asarray(at(*_largest(transition, plan, box)))).max(0)
    efforts = forces / np.where(largest > 0, largest, 1)
    with filming(path, dt) as show:
        for each, effort in zip(q, [*efforts, np.zeros_like(efforts[0])], strict=True):
            show(draw_chain(system, each, effort, _SIZE))


def _largest(
    transition: DrivenTransition, plan: Plan, box: ActionBox
) -> tuple[jax.Array, jax.Array]:
    """Create configurations and actions, of which one at a time is at its limit."""
    actions = transition.full(jnp.diag(jnp.asarray(box.upper, plan.actions.dtype)))
    return jnp.broadcast_to(plan.states.q[0], (box.size, plan.states.q.shape[1])), actions


def _drawable(model: LearnedModel, task: TaskSpec | None) -> MechanicalSystem | None:
    """Return the system to draw: of a task, or one whose equations were known."""
    if task is not None:
        system = known_equations(task)
    else:
        system = model.system if model.has_lagrangian else None
    return system if system is not None and is_chain(system) else None


def seconds_of(transition: AbstractTransition) -> float | None:
    """Find the time of a step; `None` if it is not known."""
    if hasattr(transition, "dt"):
        return float(transition.dt)  # pyright: ignore[reportAttributeAccessIssue]
    inner = getattr(transition, "transition", None)
    seconds = None if inner is None else seconds_of(inner)
    if seconds is not None and isinstance(transition, ScaledTransition):
        return seconds * transition.units.time
    return seconds
