"""Robot descriptions, read from URDF and MJCF by MuJoCo's parser."""

import contextlib
import difflib
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from .._errors import UserError
from ._pseudo_inertia import is_consistent
from ._robot_description import Frame, Link, RobotDescription, Rows


def read_urdf(
    robot: str | PathLike[str], joints: Sequence[str] | None = None
) -> RobotDescription:
    """Read a robot description in URDF; see `RobotModel.from_urdf`."""
    name, root = _parsed(robot, "URDF", "robot")
    limits, notes = {}, []
    described = [x for x in root.findall("joint") if x.get("type") is not None]
    moving = [str(x.get("name")) for x in described if x.get("type") != "fixed"]
    _check_names(name, joints, moving)
    for joint in described:
        if joints is not None and joint.get("name") not in joints:
            _fix(joint)
        kind = joint.get("type")
        what = f"{name}: joint {joint.get('name')!r}"
        if joint.find("mimic") is not None:
            raise UserError(
                f"{what} mimics another; independent joints are accepted: make it `fixed`, or "
                "remove its `mimic`"
            )
        if kind not in ("revolute", "continuous", "prismatic", "fixed"):
            raise UserError(
                f"{what} is of type {kind!r}; revolute, continuous, prismatic and fixed joints "
                "are accepted"
            )
        limits[joint.get("name")] = joint.find("limit")
    _one_parent_each(name, root)
    for link in root.iter("link"):
        for tag in ("visual", "collision"):
            for part in link.findall(tag):
                link.remove(part)
        _check_inertial(name, link, notes)
    for tag in ("gazebo", "transmission", "material", "mujoco", "sensor", "ros2_control"):
        for part in root.findall(tag):
            root.remove(part)
    compiler = ET.SubElement(ET.SubElement(root, "mujoco"), "compiler")
    for option in ("fusestatic", "discardvisual", "balanceinertia"):
        compiler.set(option, "false")
    model = _compiled(name, ET.tostring(root, encoding="unicode"))
    return _described(root.get("name") or Path(name).stem, name, model, limits, notes)


def read_mjcf(
    robot: str | PathLike[str], joints: Sequence[str] | None = None
) -> RobotDescription:
    """Read a robot description in MJCF; see `RobotModel.from_mjcf`."""
    name, root = _parsed(robot, "MJCF", "mujoco")
    mujoco = _mujoco()
    notes: list[str] = []
    try:
        if "<" in str(robot):
            spec = mujoco.MjSpec.from_string(str(robot))
        else:
            spec = mujoco.MjSpec.from_file(str(robot))
        _check_names(name, joints, [each.name for each in spec.joints])
        _fix_others(spec, joints)
        model = spec.compile()
    except ValueError as error:
        if "file" not in str(error):
            raise _refused(name, error) from error
        # The meshes are elsewhere; bodies have inertia of their own.
        _without_meshes(root)
        try:
            spec = mujoco.MjSpec.from_string(ET.tostring(root, encoding="unicode"))
            _fix_others(spec, joints)
            model = spec.compile()
        except ValueError as again:
            raise _refused(name, again) from again
        notes.append("meshes were not found and are ignored")
    return _described(root.get("model") or Path(name).stem, name, model, {}, notes)


def _parsed(robot: str | PathLike[str], form: str, tag: str) -> tuple[str, ET.Element]:
    """Read the XML of a description: a name for messages, and its root."""
    if "<" in str(robot):
        name, text = f"the {form} text", str(robot)
    else:
        name = str(robot)
        try:
            text = Path(robot).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not a text file"
            raise UserError(f"cannot read the robot description {name}: {reason}") from error
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise UserError(f"{name} is not XML: {error}") from error
    if root.tag != tag:
        also = {"robot": "URDF", "mujoco": "MJCF"}.get(root.tag)
        what = "" if also is None else f", as {also} has it"
        raise UserError(f"{name} begins with <{root.tag}>{what}; {form} begins with <{tag}>")
    return name, root


def _check_names(name: str, joints: Sequence[str] | None, known: list[str]) -> None:
    """Refuse joints that the robot does not have."""
    for joint in joints or ():
        if joint not in known:
            near = difflib.get_close_matches(joint, known, n=3, cutoff=0.4) or known[:8]
            raise UserError(
                f"{name} has no joint {joint!r} that moves; nearest are {', '.join(near)}"
            )


def _fix(joint: ET.Element) -> None:
    """Fix a URDF joint at its zero position."""
    joint.set("type", "fixed")
    for mimic in joint.findall("mimic"):
        joint.remove(mimic)


def _fix_others(spec: Any, joints: Sequence[str] | None) -> None:
    """Fix the joints of MuJoCo's specification that are not named, with what acts on them."""
    if joints is None:
        return
    others = {each.name for each in spec.joints if each.name not in joints}
    if not others:
        return
    for part in [*spec.actuators, *spec.tendons, *spec.sensors, *spec.equalities, *spec.keys]:
        spec.delete(part)
    for each in [each for each in spec.joints if each.name in others]:
        spec.delete(each)


def _one_parent_each(name: str, root: ET.Element) -> None:
    """Refuse closed loops: a link that is the child of two joints."""
    seen: set[str | None] = set()
    for joint in root.findall("joint"):
        child = joint.find("child")
        link = None if child is None else child.get("link")
        if link in seen:
            raise UserError(
                f"{name}: link {link!r} is the child of two joints; trees are accepted, "
                "without closed loops"
            )
        seen.add(link)


def _check_inertial(name: str, link: ET.Element, notes: list[str]) -> None:
    """Check the inertia of a URDF link; replace one that no body can have by the nearest."""
    inertia, mass = link.find("inertial/inertia"), link.find("inertial/mass")
    if inertia is None or mass is None:
        return
    what = f"{name}: link {link.get('name')!r}"
    keys = ("ixx", "iyy", "izz", "ixy", "ixz", "iyz")
    try:
        xx, yy, zz, xy, xz, yz = (float(inertia.get(key, "0")) for key in keys)
        weight = float(mass.get("value", "0"))
    except ValueError as error:
        raise UserError(f"{what} has an inertia that is no number: {error}") from error
    if not all(map(np.isfinite, (xx, yy, zz, xy, xz, yz, weight))):
        raise UserError(f"{what} has an inertia or mass that is not finite")
    if weight < 0:
        raise UserError(f"{what} has a mass of {weight:g} kg; a positive one is accepted")
    matrix = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    if not np.any(matrix) or is_consistent(matrix):
        return
    moments = np.linalg.eigvalsh(matrix)
    if moments[0] <= 0:
        raise UserError(
            f"{what} has principal moments of inertia {_numbers(moments)} kg m^2; positive "
            "ones are accepted"
        )
    # The nearest moments that obey the triangle inequality.
    values, axes = np.linalg.eigh(0.5 * np.trace(matrix) * np.eye(3) - matrix)
    second = axes @ np.diag(np.maximum(values, 1e-6 * values[-1])) @ axes.T
    nearest = np.trace(second) * np.eye(3) - second
    entries = [nearest[i] for i in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))]
    for key, value in zip(keys, entries, strict=True):
        inertia.set(key, repr(float(value)))
    notes.append(
        f"link {link.get('name')!r} has principal moments of inertia {_numbers(moments)} "
        "kg m^2, which no body has (the largest exceeds the sum of the others); the nearest "
        "possible ones are used"
    )


def _without_meshes(root: ET.Element) -> None:
    for parent in list(root.iter()):
        for child in list(parent):
            mesh = child.tag == "geom" and (child.get("mesh") or child.get("type") == "mesh")
            asset = parent.tag == "asset" and child.tag in ("mesh", "texture", "material")
            if mesh or asset or child.tag == "skin":
                parent.remove(child)
        parent.attrib.pop("material", None)


def _mujoco() -> Any:
    try:
        import mujoco
    except ImportError as error:
        raise UserError(
            "robot descriptions need MuJoCo's parser; install it with "
            "`pip install 'lagdyna[mujoco]'`"
        ) from error
    return mujoco


def _compiled(name: str, text: str) -> Any:
    mujoco = _mujoco()
    try:
        return mujoco.MjModel.from_xml_string(text)
    except ValueError as error:
        raise _refused(name, error) from error


def _refused(name: str, error: ValueError) -> UserError:
    """Word MuJoCo's refusal as one sentence."""
    message = " ".join(str(error).split())
    found = re.search(r"[Ee]lement name '([^']*)'", message)
    if "mass and inertia of moving bodies" in message:
        which = f"link {found[1]!r}" if found else "a moving link"
        return UserError(
            f"{name}: {which} moves and has no mass or inertia; give it an <inertial> with a "
            "positive mass and moments of inertia, or fix its joint"
        )
    return UserError(f"{name} cannot be read as a robot: {message[:300]}")


def _described(
    title: str, name: str, model: Any, limits: dict[Any, Any], notes: list[str]
) -> RobotDescription:
    """Build a description from MuJoCo's model."""
    mujoco = _mujoco()
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
            links.append(
                {
                    "joint": joint_name,
                    "body": body_name,
                    "parent": link,
                    "slides": slides,
                    "rotation": _rows(frame),
                    "position": _floats(origin),
                    "viscous": float(np.ravel(model.dof_damping[dof])[0]),
                    "coulomb": float(model.dof_frictionloss[dof]),
                    "armature": float(model.dof_armature[dof]),
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
    return RobotDescription(
        title, whole, tuple(frames), _floats(model.opt.gravity), tuple(notes)
    )


def _check_model(name: str, model: Any, mujoco: Any) -> None:
    for joint in range(model.njnt):
        kind = mujoco.mjtJoint(model.jnt_type[joint])
        if kind in (mujoco.mjtJoint.mjJNT_BALL, mujoco.mjtJoint.mjJNT_FREE):
            word = "ball" if kind == mujoco.mjtJoint.mjJNT_BALL else "free"
            raise UserError(
                f"{name}: joint {model.joint(joint).name!r} is a {word} joint; hinges and "
                "slides are accepted"
            )
    if model.neq:
        raise UserError(
            f"{name} has {model.neq} equality constraints, as closed loops and coupled joints "
            "have them; robots without are accepted"
        )


def _limits(model: Any, joint: int, limit: Any) -> dict[str, float]:
    lower, upper = -np.inf, np.inf
    if model.jnt_limited[joint]:
        lower, upper = map(float, model.jnt_range[joint])
    velocity = effort = np.inf
    if limit is not None:
        with contextlib.suppress(ValueError):
            velocity = float(limit.get("velocity", "inf")) or np.inf
            effort = float(limit.get("effort", "inf")) or np.inf
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
            f"moments of inertia {_numbers(np.linalg.eigvalsh(inertia))} kg m^2; positive ones "
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


def _numbers(values: np.ndarray) -> str:
    return ", ".join(f"{x:.3g}" for x in values)
