"""Robot descriptions: links, joints and bodies, and their form in a file."""

import json
from typing import Any, NamedTuple

Rows = tuple[tuple[float, ...], ...]


class Link(NamedTuple):
    """Link of a robot description and the joint that moves it.

    **Attributes:**

    - `joint`, `body`: names.
    - `parent`: index of the parent link, -1 for the base.
    - `slides`: whether the joint is prismatic.
    - `rotation`, `position`: pose of the link's frame at `q = 0` in that of its parent.
    - `mass`, `centre`, `inertia`: kg; centre of mass, m; moments of inertia about it, kg m^2.
    - `massless`: whether the link only connects two joints of a body.
    - `lower`, `upper`: limits of the joint, rad or m; infinite without limits.
    - `velocity`, `effort`: limits of speed and force; infinite without limits.
    - `viscous`, `coulomb`: friction, N m s/rad and N m.
    - `armature`: rotor inertia, kg m^2 or kg.
    - `stiffness`, `rest`: of a spring in the joint, N m/rad and rad.
    """

    joint: str
    body: str
    parent: int
    slides: bool
    rotation: Rows
    position: tuple[float, ...]
    mass: float
    centre: tuple[float, ...]
    inertia: Rows
    massless: bool
    lower: float
    upper: float
    velocity: float
    effort: float
    viscous: float
    coulomb: float
    armature: float
    stiffness: float
    rest: float


class Frame(NamedTuple):
    """Pose of a body in the frame of a link: index of the link, rotation and position."""

    link: int
    rotation: Rows
    position: tuple[float, ...]


class RobotDescription(NamedTuple):
    """Links, bodies and names of a robot.

    **Attributes:** `name`; `links`; `frames`, pairs of a body's name and its pose in a link;
    `gravity`, m/s^2; `notes`, sentences about what was ignored or changed.
    """

    name: str
    links: tuple[Link, ...]
    frames: tuple[tuple[str, Frame], ...]
    gravity: tuple[float, ...]
    notes: tuple[str, ...]

    @property
    def joints(self) -> tuple[str, ...]:
        """Names of the joints, in the order of the coordinates."""
        return tuple(link.joint for link in self.links)

    def to_json(self) -> str:
        """Convert the description to JSON, as it is kept in run directories."""
        links = [link._asdict() for link in self.links]
        frames = [[name, frame._asdict()] for name, frame in self.frames]
        return json.dumps({**self._asdict(), "links": links, "frames": frames}, indent=1)

    @classmethod
    def of_json(cls, text: str) -> "RobotDescription":
        """Read a description that `to_json` made.

        **Raises:** `ValueError` if the text is none.
        """
        try:
            table = json.loads(text)
            return cls(
                table["name"],
                tuple(Link(**_tuples(link)) for link in table["links"]),
                tuple((name, Frame(**_tuples(frame))) for name, frame in table["frames"]),
                tuple(table["gravity"]),
                tuple(table["notes"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"no robot description: {error}") from error


def _tuples(table: dict[str, Any]) -> dict[str, Any]:
    """Convert the lists of JSON to tuples."""

    def convert(value: Any) -> Any:
        return tuple(map(convert, value)) if isinstance(value, list) else value

    return {name: convert(value) for name, value in table.items()}
