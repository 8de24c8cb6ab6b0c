import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from msgspec import Meta

from ..mechanics import Coordinates, FixedActuation
from ..runtime import ObservedCoordinate, Reading
from ._bounds import bounded_actuation, check_bounds
from ._make import WrapperSpec

Index = Annotated[int, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]
Order = Annotated[int, Meta(ge=1, le=2)]
Positive = Annotated[float, Meta(gt=0)]


@dataclass(frozen=True, kw_only=True)
class CoordinateSpec:
    """Description of one coordinate: its entries in an observation and its limits.

    **Arguments:**

    - `kind`: `"angle"` (radians) or `"linear"` (metres).
    - `velocity`: index of the velocity in the observation. Without it, the velocity is
        estimated from the positions of the episode so far; see
        [`lagdyna.tasks.EstimatedVelocities`][].
    - `position`: index of the coordinate in the observation. An angle may give `cos` and `sin`
        instead.
    - `cos`, `sin`: indices of the cosine and sine of an angle.
    - `velocity_limit`: the speed at which the environment clips the velocity, if it does. The
        learned transition applies the same limit, so that an agent cannot exploit higher
        speeds.
    - `velocity_range`: largest speed of imagined states; `velocity_limit` by default.
    - `position_range`: largest magnitude of the coordinate in imagined states. The default is
        `ends_beyond` or `stops_at` if given, and `pi` for an angle.
    - `relative_to`: number of another angle. Use it if the environment observes both as
        absolute angles, but `velocity` is the relative velocity of the joint. The coordinate
        is then the difference of the two observed angles.
    - `ends_beyond`: magnitude beyond which the environment terminates the episode. Use it if
        this coordinate alone decides; termination is then known and not learned.
    - `stops_at`: magnitude at which a stop holds the coordinate, such as the end of a rail or
        of a joint's range; at most `pi` for an angle. It does not move outwards there.
        Imagined states lie within it.
    - `velocity_order`: order of the backward difference that estimates a velocity, 1 or 2; 2 by
        default. Use 1 for noisy positions.
    - `start_velocity`: velocity at the start of each episode if it is known, such as 0, for an
        estimated velocity.

    **Raises:** `ValueError` if the indices or limits of the coordinate are missing or
    contradictory, or if an index is negative.
    """

    kind: Literal["angle", "linear"]
    velocity: Index | None = None
    position: Index | None = None
    cos: Index | None = None
    sin: Index | None = None
    velocity_limit: Positive | None = None
    velocity_range: Positive | None = None
    position_range: Positive | None = None
    relative_to: Index | None = None
    ends_beyond: Positive | None = None
    stops_at: Positive | None = None
    velocity_order: Order | None = None
    start_velocity: float | None = None

    def __post_init__(self):
        given = tuple(x is not None for x in (self.position, self.cos, self.sin))
        by_position, by_embedding = (True, False, False), (False, True, True)
        if self.kind == "linear" and given != by_position:
            raise ValueError(
                "a linear coordinate needs `position`, and accepts no `cos` or `sin`"
            )
        ranges = (self.position_range, self.ends_beyond, self.stops_at)
        if self.kind == "linear" and all(each is None for each in ranges):
            raise ValueError(
                "a linear coordinate needs `position_range`, "
                "its largest magnitude in imagined states, metres; `ends_beyond` or `stops_at` "
                "in its place is accepted"
            )
        if self.kind == "linear" and self.relative_to is not None:
            raise ValueError(
                "`relative_to` was given for a linear coordinate; only angles accept it"
            )
        if self.kind == "angle" and given not in (by_position, by_embedding):
            raise ValueError("an angle needs either `position`, or both `cos` and `sin`")
        if self.velocity_limit is None and self.velocity_range is None:
            raise ValueError("a coordinate needs `velocity_limit` or `velocity_range`")
        for name in ("velocity_order", "start_velocity"):
            if self.velocity is not None and getattr(self, name) is not None:
                raise ValueError(
                    f"`{name}` was given for a coordinate with a `velocity`; only velocities "
                    "that are estimated accept it"
                )
        most = math.pi if self.kind == "angle" else sys.float_info.max
        if self.stops_at is not None and not 0 < self.stops_at <= most:
            accepted = "a number above 0, at most pi for an angle,"
            raise ValueError(f"`stops_at` was {self.stops_at}; {accepted} is accepted")
        if self.velocity_order not in (None, 1, 2):
            raise ValueError(f"`velocity_order` was {self.velocity_order}; 1 or 2 is accepted")
        if self.start_velocity is not None and not math.isfinite(self.start_velocity):
            raise ValueError(
                f"`start_velocity` was {self.start_velocity}; a finite number is accepted"
            )
        if min(self.indices) < 0:
            raise ValueError(
                f"a coordinate has the observation indices {self.indices}; indices from 0 on "
                "are accepted"
            )

    @property
    def indices(self) -> tuple[int, ...]:
        """Indices of the observation that determine the coordinate and its velocity."""
        indices = (self.velocity, self.position, self.cos, self.sin)
        return tuple(i for i in indices if i is not None)

    @property
    def reach(self) -> tuple[float, float]:
        """Largest position and largest speed of imagined states."""
        position = self.position_range or self.ends_beyond or math.pi
        if self.stops_at is not None:
            given = self.position_range or self.ends_beyond
            position = min(self.stops_at, given or self.stops_at)
        velocity = self.velocity_range or self.velocity_limit
        assert velocity is not None
        return position, velocity


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """Description of a control task in a Gymnasium environment.

    It contains everything that lagdyna must know about an environment. Masses, lengths,
    gravity and the reward are learned.

    **Arguments:**

    - `env_id`: id of the environment for `gymnasium.make`.
    - `coordinates`: one [`lagdyna.tasks.CoordinateSpec`][] per degree of freedom.
    - `dt`: duration of one environment step, seconds.
    - `force`: the actuation map, with one row per coordinate and one column per action. An
        entry is the generalised force (N or N m) of an action at its upper bound, or at its
        lower bound if the upper one is not above zero. Forces are proportional to the
        environment's action, zero at an action of zero.
    - `dissipation`: `"viscous"` if the joints have viscous friction, which is then learned;
        `"none"` by default. For other kinds, such as Coulomb friction, set
        `model.dissipation`, which overrides this.
    - `terminates`: whether the environment terminates episodes by a condition that is to be
        learned. If the condition is known, use `ends_beyond` of the coordinates instead.
    - `context`: indices of observed quantities that are constant within an episode, such as
        the position of a target. Reward, policy and critics take them as further coordinates
        with zero velocity; the dynamics do not.
    - `context_range`: largest magnitude of the context in imagined states.
    - `steps`: default number of environment steps of a run.
    - `target_return`: mean return at which the task counts as solved, if there is one.
    - `description`: one sentence about the task.
    - `repeat`: number of environment steps for which each action is held. Model, replay buffer
        and agent use one transition per action. Budgets count environment steps.
    - `substeps`: number of equal solver steps of the model per action, unless the config sets
        it.
    - `chain`: whether consecutive angles are relative joint angles of a serial chain. The
        networks then also take sums of consecutive angles as inputs; see
        [`lagdyna.mechanics.Coordinates`][].
    - `link_lengths`: lengths of the links of a planar arm that reaches for a target, metres.
        The coordinates are then its relative joint angles, and `context` is x and y of the
        target. Policy and critics also take the vector from tip to target as input, and the
        reward is learned as a function of their distance, of velocities and actions.
    - `sparse_reward`: whether almost all states have the same reward. An agent that learns in
        imagined rollouts then seeks new states until two rewards differ; others ignore it.
        Not for a constant reward that lasts until the episode ends.
    - `action_bounds`: lowest and highest value of each of the environment's actions. By default
        a run reads them from the environment, and stores them if they are not symmetric about
        zero. Without them they count as symmetric.
    - `max_episode_steps`: environment steps after which an episode is truncated; by default the
        environment's own time limit. Environments without one need it.
    - `unchecked`: whether a run starts without the check of this description against the
        environment, which takes 50 random steps; see [`lagdyna.checks.check_task`][].
    - `make`: keyword arguments of `gymnasium.make`, such as `{"g": 9.81}`.
    - `wrappers`: wrappers of the environment, the innermost first, each a
        [`lagdyna.tasks.WrapperSpec`][]. The indices of `coordinates` count entries of the
        wrapped environment's observation.

    **Raises:** `ValueError` if the numbers of coordinates and of rows of `force` differ, if an
    angle without `velocity` may turn by half a turn in `dt`, if `relative_to` of a coordinate
    is not another angle, if both `terminates` and `ends_beyond` are given, if an index of
    `context` is negative, if `action_bounds` or `link_lengths` does not fit, or if `dt`,
    `repeat`, `substeps` or `max_episode_steps` is not positive.
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
    link_lengths: tuple[Positive, ...] = ()
    sparse_reward: bool = False
    action_bounds: tuple[tuple[float, float], ...] | None = None
    max_episode_steps: Count | None = None
    unchecked: bool = False
    make: Mapping[str, Any] | None = field(default=None, hash=False)
    wrappers: tuple[WrapperSpec, ...] = ()

    def __post_init__(self):
        if len(self.coordinates) == 0 or len(self.force) != len(self.coordinates):
            raise ValueError(
                f"`force` has {len(self.force)} rows for {len(self.coordinates)} "
                "coordinates; give one row per coordinate, and at least one coordinate"
            )
        if len({len(row) for row in self.force}) != 1 or len(self.force[0]) == 0:
            raise ValueError(
                "`force` must have the same number of columns in each row, one per action"
            )
        for i, c in enumerate(self.coordinates):
            if c.relative_to is not None and (
                c.relative_to == i
                or c.relative_to >= self.n
                or self.coordinates[c.relative_to].kind != "angle"
            ):
                raise ValueError(
                    f"`coordinates[{i}].relative_to` was {c.relative_to}; the number of "
                    "another angle, counted from 0, is accepted"
                )
        if self.terminates and any(c.ends_beyond is not None for c in self.coordinates):
            raise ValueError(
                "`terminates` and a coordinate's `ends_beyond` were both given; use "
                "`terminates` to learn the termination, or `ends_beyond` if it is known"
            )

        check_bounds(self.action_bounds, self.action_size)
        if self.link_lengths:
            _check_links(self)
        counts = {
            "repeat": self.repeat,
            "substeps": self.substeps,
            "max_episode_steps": self.max_episode_steps,
        }
        for name, value in counts.items():
            if value is not None and value < 1:
                raise ValueError(f"`{name}` must be at least 1, got {value}")
        if not 0 < self.dt < math.inf:
            raise ValueError(f"`dt` must be positive and finite, got {self.dt}")
        for i, c in enumerate(self.coordinates):
            turn = self.dt * c.reach[1]
            if c.velocity is None and c.kind == "angle" and turn >= math.pi:
                raise ValueError(
                    f"`coordinates[{i}]` has no `velocity`, and turns by up to {turn:.3g} rad "
                    "in `dt`; its speed can be estimated below pi: give a smaller "
                    "`velocity_range`, or observe the velocity"
                )
        if min(self.context, default=0) < 0:
            raise ValueError(
                f"`context` was {self.context}; observation indices from 0 on are accepted"
            )

    @property
    def action_time(self) -> float:
        """Duration for which an action is held, seconds."""
        return self.dt * self.repeat

    @property
    def reading(self) -> Reading:
        """Description of the observations, without what training needs."""
        names = ObservedCoordinate.__struct_fields__
        return Reading(
            environment=self.env_id,
            coordinates=tuple(
                ObservedCoordinate(**{name: getattr(c, name) for name in names})
                for c in self.coordinates
            ),
            context=tuple(self.context),
            dt=self.dt,
            repeat=self.repeat,
        )

    @property
    def n(self) -> int:
        """Number of degrees of freedom."""
        return len(self.coordinates)

    @property
    def estimated(self) -> int:
        """Number of coordinates whose velocity is estimated from positions."""
        return sum(c.velocity is None for c in self.coordinates)

    @property
    def starts_unknown(self) -> bool:
        """Whether an estimated velocity is unknown at the start of an episode."""
        return any(c.velocity is None and c.start_velocity is None for c in self.coordinates)

    @property
    def action_size(self) -> int:
        """Number of actions."""
        return len(self.force[0])

    @property
    def actuation(self) -> FixedActuation:
        """Map from an action in `[-1, 1]^m` to the generalised force that it causes."""
        return bounded_actuation(self.force, self.action_bounds)

    @property
    def joint_coordinates(self) -> Coordinates:
        """Generalised coordinates of the system, without the context."""
        return Coordinates(tuple(c.kind == "angle" for c in self.coordinates), self.chain)

    @property
    def state_coordinates(self) -> Coordinates:
        """Coordinates of a state: the generalised coordinates, then the context."""
        angles = (*self.joint_coordinates.angles, *(False for _ in self.context))
        return Coordinates(angles, self.chain, self.link_lengths)

    @property
    def velocity_limits(self) -> tuple[float, ...]:
        """Speed at which each velocity of a state is clipped, infinite if it is not."""
        limits = (c.velocity_limit or math.inf for c in self.coordinates)
        return (*limits, *(math.inf for _ in self.context))

    @property
    def ends_beyond(self) -> tuple[float, ...]:
        """Magnitude of each coordinate of a state that terminates an episode, or infinity."""
        bounds = (c.ends_beyond or math.inf for c in self.coordinates)
        return (*bounds, *(math.inf for _ in self.context))

    @property
    def stops(self) -> tuple[float, ...]:
        """Magnitude at which each coordinate of a state is stopped, infinite if it is not."""
        stops = (c.stops_at or math.inf for c in self.coordinates)
        return (*stops, *(math.inf for _ in self.context))

    @property
    def reach(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Largest positions and largest speeds of imagined states; context has speed 0."""
        positions, velocities = zip(*(c.reach for c in self.coordinates), strict=True)
        ranges = tuple(self.context_range for _ in self.context)
        return (*positions, *ranges), (*velocities, *(0.0 for _ in self.context))


def _check_links(task: TaskSpec) -> None:
    """Raise `ValueError` if the links of an arm do not fit its coordinates and context."""
    angles = all(c.kind == "angle" for c in task.coordinates)
    fits = angles and len(task.link_lengths) == task.n and len(task.context) == 2
    if not fits or not all(0 < length < math.inf for length in task.link_lengths):
        raise ValueError(
            f"`link_lengths` was {task.link_lengths}; one positive length for each coordinate "
            "is accepted, where all coordinates are angles and `context` has two entries, x "
            "and y of a target"
        )
