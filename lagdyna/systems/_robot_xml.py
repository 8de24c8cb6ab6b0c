"""XML of robot descriptions, read safely and checked by joint names."""

import difflib
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path

import numpy as np

from .._errors import UserError

_FORMS = {"robot": "URDF", "mujoco": "MJCF"}

# Largest number that is accepted, in metres and kilograms.
LARGEST = 1e9

# Elements of which larger numbers are refused before they are read.
_SIZED = ("origin", "mass", "inertia", "inertial", "axis", "dynamics")

# Deepest nesting of elements; a longer branch than this is no robot.
_DEPTH = 500


def read_xml(robot: str | PathLike[str], form: str, tag: str) -> tuple[str, ET.Element]:
    """Read the XML of a robot description.

    **Arguments:** `robot`, path or text; `form`, `URDF` or `MJCF`; `tag`, of its root.

    **Returns:** a name for messages, and the root.

    **Raises:** `UserError` if it cannot be read, is no XML of this form, or declares entities.
    """
    given = fspath(robot)
    if is_text(robot):
        name, content = f"the {form} text", given.encode(errors="surrogatepass")
        # The text is decoded already, whatever encoding it declares.
        parser = ET.XMLParser(encoding="utf-8")
    else:
        name, parser = given, ET.XMLParser()
        try:
            content = Path(given).read_bytes()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise UserError(f"cannot read the robot description {name!r}: {reason}") from error
    if b"<!ENTITY" in content.replace(b"\0", b"").upper():
        raise UserError(f"{name} declares XML entities; {form} without them is accepted")
    try:
        root = ET.fromstring(content, parser)
    except (ET.ParseError, LookupError, ValueError) as error:
        raise UserError(f"{name} is not XML: {error}") from error
    for element in root.iter():
        if isinstance(element.tag, str) and not _is_xacro(element.tag):
            element.tag = element.tag.rpartition("}")[2]
    if root.tag != tag:
        also = _FORMS.get(root.tag)
        what = "" if also is None else f", as {also} has it"
        raise UserError(f"{name} begins with <{root.tag}>{what}; {form} begins with <{tag}>")
    _check_xacro(name, root)
    _check_depth(name, root)
    _check_finite(name, root)
    return name, root


def is_text(robot: str | PathLike[str]) -> bool:
    """Whether a description is given by its text rather than by the path of a file."""
    return isinstance(robot, str) and "<" in robot


def check_names(name: str, joints: Sequence[str] | None, known: list[str]) -> None:
    """Refuse joints that the robot does not have."""
    for joint in joints or ():
        if joint not in known:
            near = difflib.get_close_matches(joint, known, n=3, cutoff=0.4) or known[:8]
            found = f"nearest are {', '.join(near)}" if near else "none of its joints moves"
            raise UserError(f"{name} has no joint {joint!r} that moves; {found}")


def _is_xacro(word: str) -> bool:
    return "xacro" in word.partition("}")[0]


def _check_xacro(name: str, root: ET.Element) -> None:
    """Refuse macros that were not expanded."""
    macros = any(isinstance(each.tag, str) and _is_xacro(each.tag) for each in root.iter())
    if macros or any("${" in text for each in root.iter() for text in each.attrib.values()):
        raise UserError(
            f"{name} has xacro macros; expand them first: `xacro robot.urdf.xacro > robot.urdf`"
        )


def _check_depth(name: str, root: ET.Element) -> None:
    """Refuse nesting so deep that it exhausts the stack of a parser."""
    level, depth = [root], 0
    while level:
        level, depth = [child for each in level for child in each], depth + 1
        if depth > _DEPTH:
            raise UserError(f"{name} has elements nested more than {_DEPTH} deep")


def _check_finite(name: str, root: ET.Element) -> None:
    """Refuse numbers that are not finite."""
    for element in root.iter():
        # The force that a joint withstands may be unlimited.
        keys = set(element.attrib) - (
            {"effort", "velocity"} if element.tag == "limit" else set()
        )
        for key in sorted(keys - {"name", "link", "joint", "filename", "file"}):
            given = element.attrib[key]
            for word in given.split():
                try:
                    size = abs(float(word))
                except ValueError:
                    break
                if not np.isfinite(size) or (element.tag in _SIZED and size > LARGEST):
                    raise UserError(
                        f"{name}: `{key}` of <{element.tag}> is {given!r}; finite numbers "
                        f"up to {LARGEST:g} are accepted"
                    )
