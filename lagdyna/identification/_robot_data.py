"""Joints of recordings and of a robot description, brought together."""

import dataclasses
import difflib
import warnings
from typing import Any

import msgspec
import numpy as np

from .._errors import UserError
from ..config import FitConfig, described_robot, robot_file
from ..data import DataError
from ..mechanics import MechanicalSystem
from ..parts import AutoLossConfig, InverseLossConfig, RobotConfig, RobotResidualConfig
from ..systems import RobotDescription, RobotModel
from ._data import PreparedData, controls_of, read_recordings

# A torque that is this many times that of the description may be a motor current.
_TORQUES = 20.0

# Rows of which the torque is compared.
_ROWS = 2000

# Angles this far outside the limits of the joints, rad, may be degrees.
_OUTSIDE = 1.0


def with_robot(config: FitConfig) -> tuple[FitConfig, tuple[str, ...] | None]:
    """Fill the joints of a robot model and the angles of its recordings.

    Recorded joints are matched by name, if the recordings have names, and otherwise by their
    order. Joints of the robot that were not recorded are fixed.

    **Returns:** the config, and the order of the coordinates by the recorded names, `None` for
    that of the recordings.

    **Raises:** `UserError` if joints do not match.
    """
    model = config.model
    if robot_file(model) is None:
        return config, None
    robot = described_robot(model)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `prepare` reads again and takes notes
            recorded = read_recordings(config.data)
    except DataError as error:
        raise UserError(str(error)) from error
    title, order = config.data.title, None
    if recorded.joints is None:
        if recorded.n != len(robot.joints):
            raise UserError(
                f"{title} has {recorded.n} coordinates, and {robot.name} has "
                f"{len(robot.joints)} joints that move: {', '.join(robot.joints)}; name those "
                "that were recorded by `--model.joints`, in the order of the robot"
            )
    else:
        _check_names(title, recorded.joints, robot)
        order = tuple(name for name in robot.joints if name in recorded.joints)
        model = _replace(model, joints=order)
        robot = described_robot(model)
    angles = tuple(i for i, link in enumerate(robot.links) if not link.slides)
    data = dataclasses.replace(config.data, angles=angles)
    loss = config.loss
    if isinstance(loss, AutoLossConfig) and isinstance(
        model, RobotConfig | RobotResidualConfig
    ):
        forces = config.data.control in (None, "tau") and "tau" in recorded.fields
        loss = InverseLossConfig() if forces else loss
    return dataclasses.replace(config, data=data, model=model, loss=loss), order


def robot_notes(data: PreparedData, known: MechanicalSystem | None) -> list[str]:
    """Say what is doubtful about recordings of a robot, and what its description lacks."""
    robot = None if known is None else known.lagrangian
    if known is None or not isinstance(robot, RobotModel) or robot.description is None:
        return []
    links = robot.description.links
    notes = [f"robot description: {note}" for note in robot.description.notes]
    q = np.concatenate([np.asarray(each.q) for each in data.raw.training])
    for i, link in enumerate(links):
        low, high = float(q[:, i].min()), float(q[:, i].max())
        if low < link.lower - _OUTSIDE or high > link.upper + _OUTSIDE:
            degrees = "; are they degrees?" if high - low > 2 * np.pi else ""
            notes.append(
                f"joint {link.joint} was recorded from {low:.3g} to {high:.3g}, and its limits "
                f"are {link.lower:.3g} to {link.upper:.3g}{degrees}"
            )
    return notes + _torque_note(data, known, robot)


def _torque_note(data: PreparedData, known: MechanicalSystem, robot: RobotModel) -> list[str]:
    import jax
    import jax.numpy as jnp

    if data.control != "tau":
        return []
    some = data.raw.training[0]
    if some.qd is None:
        return []
    rows = slice(None, None, max(1, some.rows // _ROWS))
    q, qd = jnp.asarray(np.asarray(some.q)[rows]), jnp.asarray(np.asarray(some.qd)[rows])
    described = jax.jit(jax.vmap(lambda q, qd: robot.inverse_dynamics(q, qd, 0 * qd)))(q, qd)
    recorded = controls_of(data, some)[rows]
    usual = np.sqrt(np.nanmean(recorded**2, axis=0))
    expected = np.sqrt(np.mean(np.asarray(described) ** 2, axis=0))
    strong = expected > 0.1 * expected.max()
    if not strong.any() or not np.all(usual[strong] > 0):
        return []
    ratio = float(np.exp(np.mean(np.log(usual[strong] / expected[strong]))))
    if 1 / _TORQUES < ratio < _TORQUES:
        return []
    return [
        f"the recorded torques are {ratio:.2g} times those of the robot description; if they "
        "are motor currents, learn their gain by `--signals.gain`"
    ]


def _check_names(title: str, recorded: tuple[str, ...], robot: RobotDescription) -> None:
    for name in recorded:
        if name not in robot.joints:
            near = difflib.get_close_matches(name, robot.joints, n=2, cutoff=0.3)
            raise UserError(
                f"{title} has the joint {name!r}, which {robot.name} lacks; nearest are "
                f"{', '.join(near or robot.joints)}: rename it by `--columns`, or leave it out"
            )


def _replace(model: Any, **changes: Any) -> Any:
    return msgspec.structs.replace(model, **changes)
