import math
from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from ..mechanics import Coordinates

Index = Annotated[int, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]
Positive = Annotated[float, Meta(gt=0)]


@dataclass(frozen=True, kw_only=True)
class CoordinateSpec:
    """Where an observation keeps one coordinate and its velocity, and how far both reach.

    **Arguments:**

    - `kind`: `"angle"` (radians) or `"linear"` (metres).
    - `velocity`: index of the velocity in the observation.
    - `position`: index of the coordinate itself; or, for an angle instead,
    - `cos`, `sin`: indices of its cosine and sine.
    - `velocity_limit`: the speed at which the environment clips, if it does. It becomes
        part of the transition, so that no agent exploits speeds that do not exist.
    - `velocity_range`: the largest speed worth imagining; `velocity_limit` by default.
    - `position_range`: for a linear coordinate, the largest distance from 0 worth
        imagining.

    **Raises:** `ValueError` if what is given does not say where to read the coordinate or
    how far it reaches.
    """

    kind: Literal["angle", "linear"]
    velocity: Index
    position: Index | None = None
    cos: Index | None = None
    sin: Index | None = None
    velocity_limit: Positive | None = None
    velocity_range: Positive | None = None
    position_range: Positive | None = None

    def __post_init__(self):
        given = tuple(x is not None for x in (self.position, self.cos, self.sin))
        by_position, by_embedding = (True, False, False), (False, True, True)
        if self.kind == "linear" and given != by_position:
            raise ValueError("a linear coordinate needs `position`, and no `cos` or `sin`")
        if self.kind == "linear" and self.position_range is None:
            raise ValueError(
                "a linear coordinate needs `position_range`, "
                "the largest distance from 0 worth imagining"
            )
        if self.kind == "angle" and given not in (by_position, by_embedding):
            raise ValueError("an angle needs either `position`, or both `cos` and `sin`")
        if self.velocity_limit is None and self.velocity_range is None:
            raise ValueError("a coordinate needs `velocity_limit` or `velocity_range`")

    @property
    def indices(self) -> tuple[int, ...]:
        """Every entry of the observation that the coordinate is read from."""
        places = (self.velocity, self.position, self.cos, self.sin)
        return tuple(place for place in places if place is not None)

    @property
    def reach(self) -> tuple[float, float]:
        """The largest position and speed worth imagining."""
        position = math.pi if self.kind == "angle" else self.position_range
        velocity = self.velocity_range or self.velocity_limit
        assert position is not None
        assert velocity is not None
        return position, velocity


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """A control problem in a Gymnasium environment, as data.

    Everything that lagdyna must be told about an environment that it did not write; the
    masses, lengths, gravity and reward it learns.

    **Arguments:**

    - `env_id`: what `gymnasium.make` takes.
    - `coordinates`: one [`lagdyna.tasks.CoordinateSpec`][] per degree of freedom.
    - `dt`: seconds of one step of the environment.
    - `force`: the actuation map, a row per coordinate, a column per action: the
        generalised force (N or N m) when an action is at its upper bound.
    - `target_return`: the mean return at which the task counts as solved, if there is one.
    - `description`: a sentence for people.
    - `repeat`: steps of the environment for which each action is held. Model, replay buffer
        and agent see one transition for each action; steps are counted as the environment's.
    - `substeps`: equal steps of the model's solver within the time of an action, where the
        config does not say.

    **Raises:** `ValueError` if the numbers of coordinates and of rows of `force` differ,
    or `repeat` or `substeps` is not positive.
    """

    env_id: str
    coordinates: tuple[CoordinateSpec, ...]
    dt: Positive
    force: tuple[tuple[float, ...], ...]
    target_return: float | None = None
    description: str = ""
    repeat: Count = 1
    substeps: Count = 1

    def __post_init__(self):
        if len(self.coordinates) == 0 or len(self.force) != len(self.coordinates):
            raise ValueError(
                f"`force` has {len(self.force)} rows for {len(self.coordinates)} "
                "coordinates; it needs one for each, and there must be one at least"
            )
        if len({len(row) for row in self.force}) != 1 or len(self.force[0]) == 0:
            raise ValueError("`force` must have as many columns in each row, one per action")

        for name, value in (("repeat", self.repeat), ("substeps", self.substeps)):
            if value < 1:
                raise ValueError(f"`{name}` must be at least 1, got {value}")

    @property
    def action_time(self) -> float:
        """Seconds for which an action is held."""
        return self.dt * self.repeat

    @property
    def n(self) -> int:
        """The number of degrees of freedom."""
        return len(self.coordinates)

    @property
    def action_size(self) -> int:
        """The number of actions."""
        return len(self.force[0])

    @property
    def joint_coordinates(self) -> Coordinates:
        """Which coordinates are angles."""
        return Coordinates(tuple(c.kind == "angle" for c in self.coordinates))

    @property
    def velocity_limits(self) -> tuple[float, ...]:
        """The speed at which the environment clips each velocity, infinite where not."""
        return tuple(c.velocity_limit or math.inf for c in self.coordinates)

    @property
    def reach(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The largest positions and speeds worth imagining, each of length `n`."""
        positions, velocities = zip(*(c.reach for c in self.coordinates), strict=True)
        return positions, velocities
