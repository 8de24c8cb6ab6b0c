"""Config of observations: where a Minari data set keeps coordinates and velocities."""

from dataclasses import dataclass
from typing import Literal

from .._errors import UserError
from ..data import ObservationLayout
from ..options import Positive, Whole
from ..tasks import TaskSpec
from ._names import known_task


@dataclass(frozen=True, kw_only=True)
class ObservedCoordinate:
    """Entries of an observation that give one coordinate, as in `[[task.coordinates]]`.

    **Arguments:**

    - `kind`: `"angle"` (radians) or `"linear"` (metres).
    - `velocity`: index of the velocity in the observation; all coordinates have one, or none.
    - `position`: index of the coordinate. An angle may give `cos` and `sin` instead.
    - `cos`, `sin`: indices of the cosine and sine of an angle.
    - `relative_to`: number of another angle, if the observation keeps both as absolute angles
        and `velocity` is that of the joint between them.
    - `velocity_limit`, `velocity_range`, `position_range`, `ends_beyond`, `stops_at`: as in
        [`lagdyna.tasks.CoordinateSpec`][], so that its tables can be copied; not used.

    **Raises:** `ValueError` if indices are missing or contradict each other.
    """

    kind: Literal["angle", "linear"]
    velocity: Whole | None = None
    position: Whole | None = None
    cos: Whole | None = None
    sin: Whole | None = None
    relative_to: Whole | None = None
    velocity_limit: Positive | None = None
    velocity_range: Positive | None = None
    position_range: Positive | None = None
    ends_beyond: Positive | None = None
    stops_at: Positive | None = None

    def __post_init__(self):
        embedded = self.cos is not None and self.sin is not None
        half = (self.cos is None) != (self.sin is None)
        if half or embedded == (self.position is not None):
            raise ValueError("a coordinate needs either `position`, or both `cos` and `sin`")
        if self.kind == "linear" and (embedded or self.relative_to is not None):
            raise ValueError("a linear coordinate needs `position`, and only that")

    @property
    def place(self) -> int | tuple[int, int]:
        """Index of the coordinate, or indices of cosine and sine."""
        if self.cos is not None and self.sin is not None:
            return self.cos, self.sin
        assert self.position is not None
        return self.position


@dataclass(frozen=True, kw_only=True)
class LayoutConfig:
    """Layout of the observations of a Minari data set.

    The name of a task may stand in its place, such as `layout = "Pendulum-v1"`.

    **Arguments:**

    - `coordinates`: one [`lagdyna.config.ObservedCoordinate`][] per degree of freedom.
    - `dt`: seconds between two observations.
    - `key`: key of the observation vector, if the observation is a dictionary.
    - `action_scale`: divisor that scales actions to `[-1, 1]`; by default the largest action
        of the data set's action space.
    - `chain`: as `data.chain`.

    **Raises:** `ValueError` if there is no coordinate, only some have a velocity, or
    `relative_to` is not another angle.
    """

    coordinates: tuple[ObservedCoordinate, ...]
    dt: Positive
    key: str | None = None
    action_scale: Positive | None = None
    chain: bool = False

    def __post_init__(self):
        if not self.coordinates:
            raise ValueError("`coordinates` is empty; at least one is needed")
        if len({each.velocity is None for each in self.coordinates}) > 1:
            raise ValueError(
                "some `coordinates` have a `velocity` and others none; give it for all, or none"
            )
        for i, each in enumerate(self.coordinates):
            other = each.relative_to
            if other is not None and (
                other == i
                or other >= len(self.coordinates)
                or self.coordinates[other].kind != "angle"
            ):
                raise ValueError(
                    f"`coordinates[{i}].relative_to` was {other}; the number of another angle, "
                    "counted from 0, is accepted"
                )

    @classmethod
    def named(cls, task: str) -> "LayoutConfig":
        """Create the layout of a task's observations."""
        return cls.of_task(known_task(task))

    @classmethod
    def of_task(cls, task: TaskSpec) -> "LayoutConfig":
        """Create the layout of a task's observations."""
        coordinates = tuple(
            ObservedCoordinate(
                kind=each.kind,
                velocity=each.velocity,
                position=each.position,
                cos=each.cos,
                sin=each.sin,
                relative_to=each.relative_to,
            )
            for each in task.coordinates
        )
        return cls(coordinates=coordinates, dt=task.dt, chain=task.chain)

    @property
    def angles(self) -> tuple[int, ...]:
        """Indices of the coordinates that are angles."""
        return tuple(i for i, each in enumerate(self.coordinates) if each.kind == "angle")

    @property
    def observations(self) -> ObservationLayout:
        """Layout for [`lagdyna.data.read`][]."""
        velocities = [each.velocity for each in self.coordinates]
        others = tuple(each.relative_to for each in self.coordinates)
        return ObservationLayout(
            q=tuple(each.place for each in self.coordinates),
            qd=tuple(x for x in velocities if x is not None) or None,
            dt=self.dt,
            key=self.key,
            action_scale=self.action_scale,
            relative_to=others if any(x is not None for x in others) else None,
        )


def layout_of(source: str, environment: str | None) -> LayoutConfig:
    """Find the layout of a data set of a known environment.

    **Arguments:** `source`, the data set, for messages; `environment`, the id of its
    environment, if it is known.

    **Raises:** `UserError` that shows how to give a layout, if lagdyna does not know it.
    """
    try:
        return LayoutConfig.named("" if environment is None else environment)
    except UserError:
        of = "an unknown environment" if environment is None else repr(environment)
        raise UserError(
            f"{source} is of {of}, whose observations lagdyna does not know; say where they "
            "keep each coordinate, as --data.layout '{dt = 0.05, coordinates = [{kind = "
            '"angle", cos = 0, sin = 1, velocity = 2}]}\', or name a task with the same '
            "observations, as --data.layout Pendulum-v1"
        ) from None
