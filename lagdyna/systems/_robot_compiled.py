"""Robot descriptions of MuJoCo's compiled models."""

import re
from typing import Any

import numpy as np
from jaxtyping import Float

from .._errors import UserError
from ._pseudo_inertia import is_consistent
from ._robot_description import Frame, Link, RobotDescription, Rows
from ._robot_xml import LARGEST


def load_mujoco() -> Any:
    """Import MuJoCo.

    **Raises:** `UserError` if it is not installed.
    """
    try:
        import mujoco  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError(
            "robot descriptions need MuJoCo's parser; install it with "
            "`pip install 'lagdyna[mujoco]'`"
        ) from error
    return mujoco


def refused(name: str, error: ValueError) -> UserError:
    """Word MuJoCo's refusal as one sentence."""
    message = " ".join(str(error).split())
    found = re.search(r"[Ee]lement name '([^']*)'", message)
    if "mass and inertia of moving bodies" in message:
        which = f"link {found[1]!r}" if found and found[1] else "a link"
        return UserError(
            f"{name}: {which} moves and has no mass or inertia; give it an <inertial> with a "
            "positive mass and moments of inertia, or fix its joint"
        )
    return UserError(f"{name} cannot be read as a robot: {message[:300]}")


def describe(
    title: str,
    name: str,
    model: Any,
    limits: dict[Any, Any],
    notes: list[str],
) -> RobotDescription:
    """Describe the robot of a compiled model.

    **Arguments:** `title`, of the robot; `name`, of its file in messages; `model`, MuJoCo's;
    `limits`, elements of URDF by joint; `notes`, to which more are added.

    **Raises:** `UserError` if it has no joint, joints or constraints of other kinds, or
    numbers that are not finite.
    """
    mujoco = load_mujoco()
    _check_model(name, model, mujoco)
    kinds = model.jnt_type
    links: list[dict[str, Any]] = []
    frames: list[tuple[str, Frame]] = []
    poses: list[tuple[int, np.ndarray, np.ndarray]] = [(-1, np.eye(3), np.zeros(3))]
    inertias: dict[int, np.ndarray] = {}
    for body in range(1, model.nbody):
        link, rotation, position = poses[model.body_parentid[body]]
        position = position + rotation @ model.body_pos[body]
        rotation = rotation @ _rotation(model.body_quat[body])
        body_name = model.body(body).name
        first = model.body_jntadr[body]
        for joint in range(first, first + model.body_jntnum[body]):
            axis = model.jnt_axis[joint] / np.linalg.norm(model.jnt_axis[joint])
            align, anchor = _align(axis), model.jnt_pos[joint]
            slides = bool(kinds[joint] == mujoco.mjtJoint.mjJNT_SLIDE)
            start = float(model.qpos0[model.jnt_qposadr[joint]])
            frame, origin = rotation @ align, position + rotation @ anchor
            if slides:
                origin = origin - frame[:, 2] * start
            else:
                frame = frame @ _about_z(-start)
            dof = int(model.jnt_dofadr[joint])
            joint_name = model.joint(joint).name or f"joint{dof + 1}"
            damping, loss, rotor = (
                _not_negative(what, joint_name, float(np.ravel(values[dof])[0]), notes)
                for what, values in (
                    ("damping", model.dof_damping),
                    ("friction", model.dof_frictionloss),
                    ("armature", model.dof_armature),
                )
            )
            links.append(
                {
                    "joint": joint_name,
                    "body": body_name,
                    "parent": link,
                    "slides": slides,
                    "rotation": _rows(frame),
                    "position": _floats(origin),
                    "viscous": damping,
                    "coulomb": loss,
                    "armature": rotor,
                    "stiffness": float(np.ravel(model.jnt_stiffness[joint])[0]),
                    "rest": float(model.qpos_spring[model.jnt_qposadr[joint]]),
                    **_limits(model, joint, limits.get(joint_name)),
                }
            )
            link = len(links) - 1
            rotation, position = align.T, -align.T @ anchor
        poses.append((link, rotation, position))
        frames.append((body_name, Frame(link, _rows(rotation), _floats(position))))
        if link >= 0:
            pseudo = _pseudo_inertia(model, body, rotation, position)
            inertias[link] = inertias.get(link, np.zeros((4, 4))) + pseudo
    if not links:
        raise UserError(f"{name} has no joint that moves; at least one is accepted")
    whole = tuple(
        Link(**each, **_inertia(inertias.get(i, np.zeros((4, 4))), each["body"], name, notes))
        for i, each in enumerate(links)
    )
    notes.extend(_ignored(model))
    falls = not model.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_GRAVITY
    gravity = _floats(model.opt.gravity) if falls else (0.0, 0.0, 0.0)
    return RobotDescription(title, whole, tuple(frames), gravity, tuple(notes))


def _check_model(name: str, model: Any, mujoco: Any) -> None:
    for joint in range(model.njnt):
        kind = mujoco.mjtJoint(model.jnt_type[joint])
        if kind in (mujoco.mjtJoint.mjJNT_BALL, mujoco.mjtJoint.mjJNT_FREE):
            word = "ball" if kind == mujoco.mjtJoint.mjJNT_BALL else "free"
            raise UserError(
                f"{name}: joint {model.joint(joint).name!r} is a {word} joint; hinges and "
                "slides are accepted"
            )
    _check_sizes(name, model)
    if model.neq:
        raise UserError(
            f"{name} has {model.neq} equality constraints, as closed loops and coupled joints "
            "have them; robots without are accepted"
        )


def _not_negative(what: str, joint: str, value: float, notes: list[str]) -> float:
    if value < 0:
        notes.append(f"joint {joint!r} has a negative {what}, {value:g}; 0 is used")
    return max(value, 0.0)


def _check_sizes(name: str, model: Any) -> None:
    """Refuse numbers with which nothing can be computed."""
    sizes = {
        "mass": ("body", model.body_mass),
        "inertia": ("body", model.body_inertia),
        "position": ("body", model.body_pos),
        "centre of mass": ("body", model.body_ipos),
        "position of the axis": ("joint", model.jnt_pos),
        "armature": ("joint", model.dof_armature),
        "damping": ("joint", model.dof_damping),
        "friction": ("joint", model.dof_frictionloss),
        "stiffness": ("joint", model.jnt_stiffness),
        "initial position": ("joint", model.qpos0),
    }
    for what, (kind, values) in sizes.items():
        for i, each in enumerate(values):
            size = float(np.max(np.abs(each)))
            if not size <= LARGEST:
                owner = getattr(model, kind)(i).name
                raise UserError(
                    f"{name}: the {what} of {kind} {owner!r} is {size:g}; at most {LARGEST:g} "
                    "is accepted, in metres and kilograms"
                )


def _ignored(model: Any) -> list[str]:
    """Name the forces of MuJoCo's model that `RobotModel` does not have."""
    names = {
        "tendons": model.ntendon > 0,
        "gravity compensation (`gravcomp`)": np.any(model.body_gravcomp),
        "forces of a fluid": model.opt.density > 0 or model.opt.viscosity > 0,
    }
    # MuJoCo 4 has springs and dampers whose force is a polynomial.
    for what, key in (("springs", "jnt_stiffnesspoly"), ("dampers", "dof_dampingpoly")):
        names[f"nonlinear {what}"] = np.any(getattr(model, key, 0.0))
    found = [what for what, is_found in names.items() if is_found]
    return [f"ignored of the file: {', '.join(found)}"] if found else []


def _limits(model: Any, joint: int, limit: Any) -> dict[str, float]:
    lower, upper = -np.inf, np.inf
    if model.jnt_limited[joint]:
        lower, upper = map(float, model.jnt_range[joint])
    velocity = effort = np.inf
    if limit is not None:
        velocity, effort = (float(limit.get(key, "inf")) for key in ("velocity", "effort"))
    elif model.jnt_actfrclimited[joint]:
        effort = float(np.max(np.abs(model.jnt_actfrcrange[joint])))
    return {"lower": lower, "upper": upper, "velocity": velocity, "effort": effort}


def _pseudo_inertia(
    model: Any, body: int, rotation: np.ndarray, position: np.ndarray
) -> Float[np.ndarray, "4 4"]:
    """Compute the pseudo-inertia of a body about the frame of its link."""
    mass = float(model.body_mass[body])
    turned = rotation @ _rotation(model.body_iquat[body])
    moments = model.body_inertia[body]
    second = turned @ np.diag(0.5 * moments.sum() - moments) @ turned.T
    centre = position + rotation @ model.body_ipos[body]
    pseudo = np.zeros((4, 4))
    pseudo[:3, :3] = second + mass * np.outer(centre, centre)
    pseudo[:3, 3] = pseudo[3, :3] = mass * centre
    pseudo[3, 3] = mass
    return pseudo


def _inertia(pseudo: np.ndarray, body: str, name: str, notes: list[str]) -> dict[str, Any]:
    mass = float(pseudo[3, 3])
    if mass == 0 and not pseudo.any():
        # One of several joints of a body. Its parameters have no effect.
        unit = _rows(np.eye(3))
        return {"mass": 1.0, "centre": (0.0,) * 3, "inertia": unit, "massless": True}
    centre = pseudo[:3, 3] / mass
    second = pseudo[:3, :3] - mass * np.outer(centre, centre)
    inertia = np.trace(second) * np.eye(3) - second
    if mass <= 0 or np.linalg.eigvalsh(inertia)[0] <= 0:
        raise UserError(
            f"{name}: the link of body {body!r} has a mass of {mass:g} kg and principal "
            f"moments of inertia {numbers(np.linalg.eigvalsh(inertia))} kg m^2; positive ones "
            "are accepted"
        )
    if not is_consistent(inertia) and not any(repr(body) in note for note in notes):
        notes.append(f"the inertia of body {body!r} is replaced by the nearest possible one")
    return {
        "mass": mass,
        "centre": _floats(centre),
        "inertia": _rows(inertia),
        "massless": False,
    }


def _rotation(quaternion: Float[np.ndarray, " 4"]) -> Float[np.ndarray, "3 3"]:
    w, x, y, z = quaternion / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def _align(axis: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "3 3"]:
    """Compute a rotation whose last column is a unit vector."""
    helper = np.eye(3)[np.argmin(np.abs(axis))]
    first = np.cross(helper, axis)
    first = first / np.linalg.norm(first)
    return np.stack([first, np.cross(axis, first), axis], axis=1)


def _about_z(angle: float) -> Float[np.ndarray, "3 3"]:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def _floats(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(x) for x in values)


def _rows(matrix: np.ndarray) -> Rows:
    return tuple(_floats(row) for row in matrix)


def numbers(values: np.ndarray) -> str:
    return ", ".join(f"{x:.3g}" for x in values)
