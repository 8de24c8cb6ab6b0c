"""Robot descriptions that models name."""

import dataclasses
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .._errors import UserError
from ..mechanics import (
    AbstractDissipation,
    CoulombDissipation,
    ScaledDissipation,
    SumDissipation,
    ViscousDissipation,
)
from ..options import kept_file, located
from ..parts import DynamicsConfig
from ..systems import LinkPotential, RobotDescription, RobotModel

# File of a run directory that holds the robot description of its model.
ROBOT_FILE = "robot.json"

# Radius of gyration of a link of unknown inertia, of the length of the robot.
_GYRATION = 0.1

# Mass of a link of unknown inertia, kg.
_MASS = 1.0


def robot_file(model: DynamicsConfig) -> str | None:
    """Return the robot description that a model names, `None` without one."""
    return getattr(model, "robot", None)


def described_robot(model: DynamicsConfig) -> RobotDescription:
    """Read the robot description that a model names.

    A run directory holds a copy, which comes first.

    **Raises:** `UserError` if it names none, or the file cannot be used.
    """
    kept = kept_file(ROBOT_FILE)
    if kept is not None:
        try:
            return RobotDescription.of_json(kept.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"cannot read {str(kept)!r}: {error}") from error
    robot, joints = robot_file(model), getattr(model, "joints", None)
    if robot is None:
        raise UserError(
            f"`model.name` was {model.name!r}, which needs `model.robot`: a robot description, "
            "as arm.urdf"
        )
    path = located(robot)
    if path.lower().endswith((".xml", ".mjcf")):
        found = RobotModel.from_mjcf(path, joints=joints)
    else:
        found = RobotModel.from_urdf(path, joints=joints)
    assert found.description is not None
    return found.description


def robot_lagrangian(model: DynamicsConfig) -> RobotModel:
    """Build the robot that a model names, with its starting values.

    **Raises:** `UserError` as [`lagdyna.config.described_robot`][].
    """
    robot = RobotModel.from_description(described_robot(model))
    if getattr(model, "inertia", "description") == "unknown":
        robot = _of_unknown_inertia(robot)
    if getattr(model, "form", None) == "potential":
        robot = dataclasses.replace(robot, extra=LinkPotential(robot.tree))
    start = getattr(model, "armature", 0.0)
    if start > 0:
        given = np.zeros(robot.tree.links)
        if robot.armature is not None:
            given = np.asarray(robot.armature)
        armature = jnp.asarray(np.where(given > 0, given, start), robot.inertia.dtype)
        robot = eqx.tree_at(lambda x: x.armature, robot, armature, is_leaf=_is_none)
    return robot


def with_described_friction(
    friction: AbstractDissipation, robot: RobotModel
) -> AbstractDissipation:
    """Start friction at the damping and friction of a robot description.

    Joints for which the description gives none keep their values. Coulomb friction is shared
    equally by the parts that saturate at different speeds.

    **Arguments:** `friction`, of all joints; `robot`, with or without a description.
    """
    if robot.description is None:
        return friction
    inner = friction.dissipation if isinstance(friction, ScaledDissipation) else friction
    parts = inner.parts if isinstance(inner, SumDissipation) else (inner,)
    given = np.array([(link.viscous, link.coulomb) for link in robot.description.links])
    viscous, coulomb = given.T
    if isinstance(friction, ScaledDissipation):
        units = friction.units
        viscous = viscous * np.array(units.velocity) / np.array(units.force)
        coulomb = coulomb / np.array(units.force)
    shares = sum(isinstance(part, CoulombDissipation) for part in parts)

    def started(part: AbstractDissipation) -> AbstractDissipation:
        if isinstance(part, ViscousDissipation):
            start = np.where(viscous > 0, viscous, part.coefficients)
            return ViscousDissipation(jnp.asarray(start, part.raw.dtype))
        if isinstance(part, CoulombDissipation):
            start = np.where(coulomb > 0, coulomb / shares, part.coefficients)
            return CoulombDissipation(jnp.asarray(start, part.raw.dtype), part.width)
        return part

    found = tuple(started(part) for part in parts)
    inner = found[0] if len(found) == 1 else SumDissipation(found)
    if isinstance(friction, ScaledDissipation):
        return dataclasses.replace(friction, dissipation=inner)
    return inner


def _of_unknown_inertia(robot: RobotModel) -> RobotModel:
    """Replace the inertia of all links by that of equal bodies at the joints."""
    reach = np.sum(np.linalg.norm(np.array(robot.tree.position), axis=1))
    parameters = np.zeros(robot.inertia.shape)
    parameters[:, 0] = 0.5 * np.log(_MASS)
    parameters[:, 1:4] = np.log(_GYRATION * max(reach, 1e-3))
    return eqx.tree_at(lambda x: x.inertia, robot, jnp.asarray(parameters, robot.inertia.dtype))


def _is_none(x: Any) -> bool:
    return x is None
