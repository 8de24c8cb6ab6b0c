"""Robot descriptions in MuJoCo's MJCF."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from .._errors import UserError
from ._robot_compiled import describe, load_mujoco, refused
from ._robot_description import RobotDescription
from ._robot_xml import check_names, is_text, read_xml


def read_mjcf(
    robot: str | PathLike[str], joints: Sequence[str] | None = None
) -> RobotDescription:
    """Read a robot description in MJCF; see `RobotModel.from_mjcf`."""
    name, root = read_xml(robot, "MJCF", "mujoco")
    mujoco = load_mujoco()
    notes: list[str] = []
    try:
        if is_text(robot):
            spec = mujoco.MjSpec.from_string(str(robot))
        else:
            spec = mujoco.MjSpec.from_file(str(robot))
        check_names(name, joints, [each.name for each in spec.joints])
        _fix_others(spec, joints)
        model = spec.compile()
    except UserError:
        raise
    except ValueError as error:
        if "file" not in str(error):
            raise refused(name, error) from error
        # The meshes are elsewhere; bodies have inertia of their own.
        _remove_meshes(name, root)
        try:
            spec = mujoco.MjSpec.from_string(ET.tostring(root, encoding="unicode"))
            check_names(name, joints, [each.name for each in spec.joints])
            _fix_others(spec, joints)
            model = spec.compile()
        except UserError:
            raise
        except ValueError as again:
            raise refused(name, again) from again
        notes.append("meshes were not found and are ignored")
    return describe(root.get("model") or Path(name).stem, name, model, {}, notes)


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


def _remove_meshes(name: str, root: ET.Element) -> None:
    """Remove meshes, and refuse bodies whose inertia would follow from one."""
    for body in root.iter("body"):
        meshes = any(map(_is_mesh, body.findall("geom")))
        if meshes and body.find("inertial") is None:
            raise UserError(
                f"{name}: the inertia of body {body.get('name')!r} follows from a mesh that "
                "was not found; put it where the file says, or give the body an <inertial>"
            )
    for parent in list(root.iter()):
        for child in list(parent):
            asset = parent.tag == "asset" and child.tag in ("mesh", "texture", "material")
            if asset or _is_mesh(child) or child.tag == "skin":
                parent.remove(child)
        parent.attrib.pop("material", None)


def _is_mesh(part: ET.Element) -> bool:
    mesh = part.get("mesh") is not None or part.get("type") == "mesh"
    return part.tag == "geom" and mesh
