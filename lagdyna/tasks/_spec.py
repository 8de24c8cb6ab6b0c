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
    - `position_range`: the largest distance from 0 worth imagining; of an angle by
        default the whole circle, `pi`. Where episodes end, that is `ends_beyond`.
    - `relative_to`: the number of another angle, where the environment observes both
        from the same direction and yet this one's velocity from the other's, as of a
        joint: the coordinate is then the difference of the two observed angles, and
        `velocity` its derivative.
    - `ends_beyond`: the magnitude beyond which the environment ends the episode, if it
        does so by this coordinate alone. Then it need not be learned.

    **Raises:** `ValueError` if what is given does not say where to read the coordinate or
    how far it reaches, or an index is negative.
    """

    kind: Literal["angle", "linear"]
    velocity: Index
    position: Index | None = None
    cos: Index | None = None
    sin: Index | None = None
    velocity_limit: Positive | None = None
    velocity_range: Positive | None = None
    position_range: Positive | None = None
    relative_to: Index | None = None
    ends_beyond: Positive | None = None

    def __post_init__(self):
        given = tuple(x is not None for x in (self.position, self.cos, self.sin))
        by_position, by_embedding = (True, False, False), (False, True, True)
        if self.kind == "linear" and given != by_position:
            raise ValueError("a linear coordinate needs `position`, and no `cos` or `sin`")
        if self.kind == "linear" and self.position_range is None and self.ends_beyond is None:
            raise ValueError(
                "a linear coordinate needs `position_range`, "
                "the largest distance from 0 worth imagining"
            )
        if self.kind == "linear" and self.relative_to is not None:
            raise ValueError("`relative_to` is for angles, and the coordinate is linear")
        if self.kind == "angle" and given not in (by_position, by_embedding):
            raise ValueError("an angle needs either `position`, or both `cos` and `sin`")
        if self.velocity_limit is None and self.velocity_range is None:
            raise ValueError("a coordinate needs `velocity_limit` or `velocity_range`")
        if min(self.indices) < 0:
            raise ValueError(
                f"a coordinate was to be read from entries {self.indices} of the observation; "
                "they are counted from 0"
            )

    @property
    def indices(self) -> tuple[int, ...]:
        """Every entry of the observation that the coordinate is read from."""
        places = (self.velocity, self.position, self.cos, self.sin)
        return tuple(place for place in places if place is not None)

    @property
    def reach(self) -> tuple[float, float]:
        """The largest position and speed worth imagining."""
        position = self.position_range or self.ends_beyond or math.pi
        velocity = self.velocity_range or self.velocity_limit
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
    - `dissipation`: `"viscous"` where the joints have viscous friction, to be learned.
    - `terminates`: whether the environment ends episodes before their time, by a
        condition that is to be learned. One that is known is stated by the coordinates'
        `ends_beyond` instead.
    - `context`: indices of what an observation holds that stays the same throughout an
        episode, such as where a target lies. Reward, policy and critics see it as further
        coordinates, which do not move; the dynamics do not.
    - `context_range`: the largest magnitude of that worth imagining.
    - `steps`: of experience, the environment's, that a run is given by default.
    - `target_return`: the mean return at which the task counts as solved, if there is one.
    - `description`: a sentence for people.
    - `repeat`: steps of the environment for which each action is held. Model, replay buffer
        and agent see one transition for each action; steps are counted as the environment's.
    - `substeps`: equal steps of the model's solver within the time of an action, where the
        config does not say.
    - `chain`: whether angles that follow each other are those of the joints of a chain, each
        counted from the link before. Everything learned then sees the sums of consecutive
        angles too, see [`lagdyna.mechanics.Coordinates`][].

    **Raises:** `ValueError` if the numbers of coordinates and of rows of `force` differ, if
    a coordinate's `relative_to` is not another angle, if the end of an episode is both
    stated and to be learned, an index of `context` is negative, or if `dt`, `repeat` or
    `substeps` is not positive.
    """

    env_id: str
    coordinates: tuple[CoordinateSpec, ...]
    dt: Positive
    force: tuple[tuple[float, ...], ...]
    dissipation: Literal["none", "viscous"] = "none"
    terminates: bool = False
    context: tuple[Index, ...] = ()
    context_range: Positive = 1.0
    steps: Count = 400
    target_return: float | None = None
    description: str = ""
    repeat: Count = 1
    substeps: Count = 1
    chain: bool = False

    def __post_init__(self):
        if len(self.coordinates) == 0 or len(self.force) != len(self.coordinates):
            raise ValueError(
                f"`force` has {len(self.force)} rows for {len(self.coordinates)} "
                "coordinates; it needs one for each, and there must be one at least"
            )
        if len({len(row) for row in self.force}) != 1 or len(self.force[0]) == 0:
            raise ValueError("`force` must have as many columns in each row, one per action")
        for i, c in enumerate(self.coordinates):
            if c.relative_to is not None and (
                c.relative_to == i
                or c.relative_to >= self.n
                or self.coordinates[c.relative_to].kind != "angle"
            ):
                raise ValueError(
                    f"`coordinates[{i}].relative_to` was {c.relative_to}; the number of "
                    "another coordinate, counted from 0, that is an angle is accepted"
                )
        if self.terminates and any(c.ends_beyond is not None for c in self.coordinates):
            raise ValueError(
                "`terminates` was given with a coordinate's `ends_beyond`: the end of an "
                "episode is either learned or stated"
            )

        for name, value in (("repeat", self.repeat), ("substeps", self.substeps)):
            if value < 1:
                raise ValueError(f"`{name}` must be at least 1, got {value}")
        if not 0 < self.dt < math.inf:
            raise ValueError(f"`dt` must be positive and finite, got {self.dt}")
        if min(self.context, default=0) < 0:
            raise ValueError(
                f"`context` was {self.context}; entries of the observation are counted from 0"
            )

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
        """Which coordinates are angles, and whether those are a chain's."""
        return Coordinates(tuple(c.kind == "angle" for c in self.coordinates), self.chain)

    @property
    def state_coordinates(self) -> Coordinates:
        """The same of a whole state: the coordinates, then the context."""
        angles = (*self.joint_coordinates.angles, *(False for _ in self.context))
        return Coordinates(angles, self.chain)

    @property
    def velocity_limits(self) -> tuple[float, ...]:
        """The speed at which each velocity of a state is clipped, infinite where not."""
        limits = (c.velocity_limit or math.inf for c in self.coordinates)
        return (*limits, *(math.inf for _ in self.context))

    @property
    def ends_beyond(self) -> tuple[float, ...]:
        """The magnitude of each of a state's that ends an episode, infinite where none does."""
        bounds = (c.ends_beyond or math.inf for c in self.coordinates)
        return (*bounds, *(math.inf for _ in self.context))

    @property
    def reach(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The largest positions and speeds of a state worth imagining; context stands still."""
        positions, velocities = zip(*(c.reach for c in self.coordinates), strict=True)
        ranges = tuple(self.context_range for _ in self.context)
        return (*positions, *ranges), (*velocities, *(0.0 for _ in self.context))
