"""Known equations of motion: from a task, from the user's file, or given in Python."""

from typing import Any

import jax
import jax.numpy as jnp

from .._errors import UserError
from ..learners import Residual
from ..mechanics import AbstractLagrangian, MechanicalSystem
from ..options import DissipationName, user_part
from ..parts import ConstrainedMLPConfig, DynamicsConfig
from ..tasks import Plant, TaskSpec, in_bounds, known_equations

Known = MechanicalSystem | AbstractLagrangian


def with_equations(
    plant: Plant,
    model: DynamicsConfig,
    *,
    task: TaskSpec | None = None,
    known: Known | None = None,
    residual: Residual | None = None,
) -> Plant:
    """Add the known equations that a model contains to a plant.

    **Arguments:**

    - `plant`, `model`: the system, and the options of its model.
    - `task`: the task, whose equations are used where no others are given.
    - `known`, `residual`: objects that were given in Python, in place of the options.

    **Raises:** `UserError` if the model needs equations and there are none, they do not fit
    the plant, or equations are given to a model without any.
    """
    if not model.equations:
        if known is not None or residual is not None:
            what = "known" if known is not None else "residual"
            raise UserError(
                f"`{what}` was given with the model {model.name!r}, which contains no "
                "equations; the models known, residual and constrained-mlp do"
            )
        return plant
    if isinstance(model, ConstrainedMLPConfig):
        if residual is None and model.residual is not None:
            residual = user_part("model.residual", model.residual)
        if residual is not None:
            return plant.with_known(None, residual)
    elif residual is not None:
        raise UserError(
            f"`residual` was given with the model {model.name!r}; constrained-mlp takes one"
        )
    named: str | None = getattr(model, "known", None)
    given: Any = known
    if given is None and named is not None:
        given = user_part("model.known", named)
    if given is None and task is not None:
        given = known_equations(task)
    if given is None:
        also = ", or `model.residual`" if isinstance(model, ConstrainedMLPConfig) else ""
        raise UserError(
            f"`model.name` was {model.name!r}, which needs `model.known`{also}: the equations "
            f"of {plant.name} as FILE.py:NAME"
        )
    elif task is not None and isinstance(given, MechanicalSystem):
        given = in_bounds(given, task)
    if isinstance(given, AbstractLagrangian):
        friction: DissipationName = getattr(model, "dissipation", "none") or plant.dissipation
        given = plant.system(given, friction)
    return plant.with_known(_fitting(given, named, plant))


def _fitting(given: Any, named: str | None, plant: Plant) -> MechanicalSystem:
    """Check that a known system has the sizes of the plant."""
    if not isinstance(given, MechanicalSystem):
        raise UserError(
            f"`model.known` was {named!r}, a {type(given).__name__}; a MechanicalSystem or a "
            "Lagrangian is accepted"
        )
    n, actions, of = plant.n, plant.action_size, plant.name
    q, action = jnp.zeros(n), jnp.zeros(actions)
    try:
        shape = jax.eval_shape(given.forward_dynamics, q, q, action).shape
    except Exception as error:  # of shapes that do not fit, whatever raises it
        raise UserError(
            f"`model.known` does not fit the {n} coordinates and {actions} actions of {of}: "
            f"{' '.join(str(error).split())[:200]}"
        ) from error
    if shape != (n,):
        raise UserError(
            f"`model.known` gives {shape} accelerations for the {n} coordinates and {actions} "
            f"actions of {of}"
        )
    return given
