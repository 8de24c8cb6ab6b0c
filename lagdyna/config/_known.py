"""Known equations of motion: from a task, from the user's file, or given in Python."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from .._errors import UserError
from .._strong_types import strongly_typed
from ..learners import Residual
from ..mechanics import AbstractLagrangian, MechanicalSystem, State
from ..options import DissipationName, user_part
from ..parts import (
    ConstrainedMLPConfig,
    DynamicsConfig,
    RobotConfig,
    RobotResidualConfig,
    SimulatorConfig,
)
from ..systems import RobotModel
from ..tasks import Plant, TaskSpec, in_bounds, known_equations, simulator_of
from ._robots import (
    described_robot,
    robot_file,
    robot_lagrangian,
    with_described_friction,
)
from ._user_functions import check_equations

Known = MechanicalSystem | AbstractLagrangian


def with_equations(
    plant: Plant,
    model: DynamicsConfig,
    *,
    task: TaskSpec | None = None,
    known: Known | None = None,
    residual: Residual | None = None,
    states: State | None = None,
) -> Plant:
    """Add the known equations that a model contains to a plant.

    **Arguments:**

    - `plant`, `model`: the system, and the options of its model.
    - `task`: the task, whose equations are used where no others are given.
    - `known`, `residual`: objects that were given in Python, in place of the options.
    - `states`: recorded states, at which a user's equations are tried; not tried by default.

    **Raises:** `UserError` if the model needs equations and there are none, they do not fit
    the plant, or equations are given to a model without any.
    """
    if isinstance(model, SimulatorConfig) and known is None:
        if task is None:
            raise UserError(
                "`model.name` was 'simulator', which learns nothing from recordings; `lagdyna "
                "train` accepts it"
            )
        return plant._replace(simulator=simulator_of(task))
    if not (model.equations or robot_file(model)):
        if known is not None or residual is not None:
            what = "known" if known is not None else "residual"
            raise UserError(
                f"`{what}` was given with the model {model.name!r}, which contains no "
                "equations; the models known, robot, residual and constrained-mlp do"
            )
        return plant
    speed = getattr(model, "friction_speed", None)
    if speed is not None:
        time = 1.0 if plant.units is None else plant.units.time
        plant = plant._replace(friction_speed=speed * time)
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
    if given is None and robot_file(model) is not None:
        given = robot_lagrangian(model)
    elif given is None and named is not None:
        given = user_part("model.known", named)
    if given is None and task is not None:
        given = known_equations(task)
    if given is None and isinstance(model, RobotConfig | RobotResidualConfig):
        described_robot(model)  # says what is missing
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
        robot = given if known is None and isinstance(given, RobotModel) else None
        given = plant.system(given, friction)
        if robot is not None:
            started = with_described_friction(given.dissipation, robot)
            given = dataclasses.replace(given, dissipation=started)
    option = "model.known" if known is None else "known"
    if known is None and robot_file(model) is not None:
        option = "model.robot"
    fitting = _fitting(given, option, None if known is not None else named, plant)
    if states is not None:
        check_equations(option, fitting, states, plant.action_size)
    return plant.with_known(strongly_typed(fitting))


def known_option(config: Any, known: Known | None) -> str | None:
    """Name the option that gave the equations of a run; `None` without one.

    **Arguments:** `config`, of the run; `known`, equations that were given in Python.
    """
    if known is not None:
        return "known"
    return None if getattr(config.model, "known", None) is None else "model.known"


def _fitting(given: Any, option: str, named: str | None, plant: Plant) -> MechanicalSystem:
    """Check that a known system has the sizes of the plant."""
    if not isinstance(given, MechanicalSystem):
        is_class = isinstance(given, type)
        what = f"the class {given.__name__}" if is_class else f"a {type(given).__name__}"
        raise UserError(
            f"`{option}` was {'' if named is None else repr(named) + ', '}{what}; a "
            "MechanicalSystem or a Lagrangian is accepted, an object and not a class"
        )
    n, actions, of = plant.n, plant.action_size, plant.name
    q, action = jnp.zeros(n), jnp.zeros(actions)
    try:
        shape = jax.eval_shape(given.forward_dynamics, q, q, action).shape
    except Exception as error:  # of shapes that do not fit, whatever raises it
        raise UserError(
            f"`{option}` does not fit the {n} coordinates and {actions} actions of {of}: "
            f"{' '.join(str(error).split())[:200]}"
        ) from error
    if shape != (n,):
        raise UserError(
            f"`{option}` gives {shape} accelerations for the {n} coordinates and {actions} "
            f"actions of {of}"
        )
    return given
