"""Robot descriptions in URDF, read by MuJoCo's parser."""

import difflib
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from .._errors import UserError
from ._pseudo_inertia import is_consistent
from ._robot_compiled import describe, load_mujoco, numbers, refused
from ._robot_description import RobotDescription
from ._robot_xml import check_names, read_xml

_MOVING = ("revolute", "continuous", "prismatic")

# Moments of inertia below this are 0 for MuJoCo, kg m^2.
_SMALLEST = 1e-14

_MOMENTS = ("ixx", "iyy", "izz", "ixy", "ixz", "iyz")


def read_urdf(
    robot: str | PathLike[str], joints: Sequence[str] | None = None
) -> RobotDescription:
    """Read a robot description in URDF; see `RobotModel.from_urdf`."""
    name, root = read_xml(robot, "URDF", "robot")
    limits, notes = {}, []
    found = root.findall("joint")
    _check_unique(name, "joint", found)
    _check_unique(name, "link", root.findall("link"))
    moving = [str(x.get("name")) for x in found if x.get("type") != "fixed"]
    check_names(name, joints, moving)
    for joint in found:
        if joints is not None and joint.get("name") not in joints:
            _fix(joint)
        _check_joint(f"{name}: joint {joint.get('name')!r}", joint)
        limits[joint.get("name")] = joint.find("limit")
    carried = _check_tree(name, root)
    for link in root.findall("link"):
        for tag in ("visual", "collision"):
            for part in link.findall(tag):
                link.remove(part)
        if link.get("name") in carried:
            _check_inertial(f"{name}: link {link.get('name')!r}", link, notes)
        else:  # it never moves
            for part in link.findall("inertial"):
                link.remove(part)
    for part in [part for part in root if part.tag not in ("link", "joint")]:
        root.remove(part)
    compiler = ET.SubElement(ET.SubElement(root, "mujoco"), "compiler")
    for option in ("fusestatic", "discardvisual", "balanceinertia"):
        compiler.set(option, "false")
    mujoco = load_mujoco()
    try:
        model = mujoco.MjModel.from_xml_string(ET.tostring(root, encoding="unicode"))
    except ValueError as error:
        raise refused(name, error) from error
    title = root.get("name") or Path(name).stem
    return describe(title, name, model, limits, notes)


def _check_unique(name: str, tag: str, elements: list[ET.Element]) -> None:
    """Refuse links or joints without a name, or with that of another."""
    seen: set[str] = set()
    for each in elements:
        own = each.get("name")
        if not own:
            raise UserError(f"{name} has a <{tag}> without a name; give it one")
        if own in seen:
            raise UserError(f"{name} has two {tag}s with the name {own!r}; rename one")
        seen.add(own)


def _fix(joint: ET.Element) -> None:
    """Fix a joint at its zero position."""
    joint.set("type", "fixed")
    for mimic in joint.findall("mimic"):
        joint.remove(mimic)


def _check_joint(what: str, joint: ET.Element) -> None:
    """Check the type, axis, limits and friction of a joint."""
    kind = joint.get("type")
    if joint.find("mimic") is not None:
        raise UserError(
            f"{what} mimics another; independent joints are accepted: make it `fixed`, or "
            "remove its `mimic`"
        )
    if kind not in (*_MOVING, "fixed"):
        raise UserError(
            f"{what} is of type {kind!r}; revolute, continuous, prismatic and fixed joints "
            "are accepted"
        )
    axis = joint.find("axis")
    if kind == "fixed":
        return
    if axis is None:
        # URDF's default; MuJoCo's is z.
        axis = ET.SubElement(joint, "axis", {"xyz": "1 0 0"})
    direction = _numbers_of(f"{what} has an axis", axis.get("xyz", "1 0 0"), 3)
    axis.set("xyz", " ".join(map(repr, direction)))
    if not any(direction):
        raise UserError(
            f"{what} has the axis 0 0 0; an axis of any other direction is accepted"
        )
    limit, dynamics = joint.find("limit"), joint.find("dynamics")
    if limit is not None and kind != "continuous":
        lower, upper = (
            _numbers_of(f"{what} has a limit", limit.get(key, "0"), 1)[0]
            for key in ("lower", "upper")
        )
        if lower > upper:
            raise UserError(f"{what} has limits from {lower:g} to {upper:g}; exchange them")
    for key in ("velocity", "effort"):
        if limit is not None and not _is_positive(limit.get(key)):
            limit.attrib.pop(key, None)  # unlimited
    for key in ("damping", "friction"):
        if dynamics is not None and key in dynamics.attrib:
            _numbers_of(f"{what} has {key}", dynamics.get(key, ""), 1)


def _check_tree(name: str, root: ET.Element) -> set[str]:
    """Check that the joints connect all links to a tree; return the links that move."""
    links = [str(link.get("name")) for link in root.findall("link")]
    parent_of: dict[str, str] = {}
    for joint in root.findall("joint"):
        ends = []
        for tag in ("parent", "child"):
            end = joint.find(tag)
            link = None if end is None else end.get("link")
            what = f"{name}: joint {joint.get('name')!r}"
            if link is None:
                raise UserError(f'{what} has no <{tag} link="...">; give it one')
            if link not in links:
                near = difflib.get_close_matches(link, links, n=3, cutoff=0.4) or links[:8]
                raise UserError(
                    f"{what} has the {tag} link {link!r}, which is not described; nearest are "
                    f"{', '.join(near)}"
                )
            ends.append(link)
        parent, child = ends
        if child in parent_of:
            raise UserError(
                f"{name}: link {child!r} is the child of two joints; trees are accepted, "
                "without closed loops"
            )
        parent_of[child] = parent
    bases = [link for link in links if link not in parent_of]
    if not links:
        raise UserError(f"{name} has no links; at least two are accepted")
    if len(bases) > 1:
        raise UserError(
            f"{name} has {len(bases)} links that are no joint's child: {', '.join(bases[:8])}; "
            "one is accepted, the base"
        )
    moves = {
        str(child.get("link")): joint.get("type") != "fixed"
        for joint in root.findall("joint")
        for child in joint.findall("child")
    }
    below, carried = set(bases), set[str]()
    while more := {link for link, above in parent_of.items() if above in below} - below:
        below |= more
        carried |= {link for link in more if moves[link] or parent_of[link] in carried}
    if len(below) < len(links):
        lost = [link for link in links if link not in below]
        raise UserError(
            f"{name}: links {', '.join(lost[:8])} hang on each other in a closed loop; trees "
            "are accepted"
        )
    return carried


def _check_inertial(what: str, link: ET.Element, notes: list[str]) -> None:
    """Check the inertia of a link; replace one that no body can have by the nearest."""
    inertial = link.find("inertial")
    if inertial is None:
        return
    inertia, mass = inertial.find("inertia"), inertial.find("mass")
    if inertia is None or mass is None:
        missing = "mass" if mass is None else "inertia"
        raise UserError(f"{what} has an <inertial> without <{missing}>; add it")
    weight = _numbers_of(f"{what} has a mass", mass.get("value", ""), 1)[0]
    xx, yy, zz, xy, xz, yz = (
        _numbers_of(f"{what} has `{key}`", inertia.get(key, "0"), 1)[0] for key in _MOMENTS
    )
    if weight < 0:
        raise UserError(f"{what} has a mass of {weight:g} kg; a positive one is accepted")
    matrix = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    moments = np.linalg.eigvalsh(matrix)
    if np.max(np.abs(matrix)) < _SMALLEST:
        for key in _MOMENTS:
            inertia.set(key, "0")  # a point mass
        return
    # MuJoCo refuses flat plates whose moments are rounded.
    if moments[0] > 0 and moments[2] < (1 - 1e-9) * (moments[0] + moments[1]):
        return
    if moments[0] <= 0:
        raise UserError(
            f"{what} has principal moments of inertia {numbers(moments)} kg m^2; positive "
            "ones are accepted"
        )
    # The nearest moments that obey the triangle inequality.
    values, axes = np.linalg.eigh(0.5 * np.trace(matrix) * np.eye(3) - matrix)
    second = axes @ np.diag(np.maximum(values, 1e-6 * values[-1])) @ axes.T
    nearest = np.trace(second) * np.eye(3) - second
    entries = [nearest[i] for i in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))]
    for key, value in zip(_MOMENTS, entries, strict=True):
        inertia.set(key, repr(float(value)))
    if is_consistent(matrix):
        return
    notes.append(
        f"link {link.get('name')!r} has principal moments of inertia {numbers(moments)} "
        "kg m^2, which no body has (the largest exceeds the sum of the others); the nearest "
        "possible ones are used"
    )


def _is_positive(text: str | None) -> bool:
    try:
        return 0 < float(text or "0") < np.inf
    except ValueError:
        return False


def _numbers_of(what: str, text: str, count: int) -> list[float]:
    """Read numbers that are separated by spaces."""
    try:
        values = [float(word) for word in text.split()]
    except ValueError:
        values = []
    if len(values) != count or not np.all(np.isfinite(values)):
        accepted = "a finite number is" if count == 1 else f"{count} finite numbers are"
        raise UserError(f"{what} of {text!r}; {accepted} accepted")
    return values
