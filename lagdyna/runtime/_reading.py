"""Reading of a task's state from observations, arrays of NumPy or JAX."""

from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np


class ObservedCoordinate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Entries of an observation that a coordinate is read from.

    The arguments are those of [`lagdyna.tasks.CoordinateSpec`][].
    """

    kind: Literal["angle", "linear"]
    velocity: int | None = None
    position: int | None = None
    cos: int | None = None
    sin: int | None = None
    relative_to: int | None = None
    velocity_limit: float | None = None
    velocity_order: int | None = None
    start_velocity: float | None = None


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """Description of the observations of a task, and of how long actions are held.

    **Arguments:**

    - `environment`: its name, for messages.
    - `coordinates`: one for each degree of freedom.
    - `context`: entries that are constant within an episode.
    - `dt`: time between two observations, s.
    - `repeat`: for how many observations an action is held.
    """

    environment: str
    coordinates: tuple[ObservedCoordinate, ...]
    context: tuple[int, ...] = ()
    dt: float
    repeat: int = 1

    @property
    def estimated(self) -> int:
        """Number of velocities that are estimated from positions."""
        return sum(c.velocity is None for c in self.coordinates)


class Spaces(NamedTuple):
    """Spaces of an environment that a policy can control.

    **Attributes:**

    - `observation`: length of an observation, flattened.
    - `actions`: lowest and highest value of each action, in the environment's units.
    """

    observation: int
    actions: tuple[tuple[float, float], ...]


def read_positions(reading: Any, observation: Any) -> list[Any]:
    """Read each coordinate from observations of shape `(*batch, obs)`, shapes `(*batch,)`.

    **Arguments:** `reading`, a [`lagdyna.runtime.Reading`][] or what has its attributes, such
    as a `TaskSpec`.
    """
    xp: Any = observation.__array_namespace__()
    observed, q = [], []
    for c in reading.coordinates:
        if c.cos is not None and c.sin is not None:
            observed.append(xp.arctan2(observation[..., c.sin], observation[..., c.cos]))
        else:
            observed.append(observation[..., c.position])
    for position, c in zip(observed, reading.coordinates, strict=True):
        if c.relative_to is not None:
            angle = position - observed[c.relative_to]
            position = xp.arctan2(xp.sin(angle), xp.cos(angle))  # wrapped into [-pi, pi]
        q.append(position)
    return q


def read_arrays(reading: Any, observation: Any) -> tuple[Any, Any]:
    """Read `(q, qd)` from observations; see [`lagdyna.tasks.read_state`][].

    **Arguments:** `reading`, as for `read_positions`; `observation`, of shape `(*batch, obs)`,
    with estimated velocities last.

    **Returns:** arrays of shape `(*batch, n + context)`, at least float32.
    """
    xp: Any = observation.__array_namespace__()
    q, qd = read_positions(reading, observation), []
    estimated = -reading.estimated
    for c in reading.coordinates:
        if c.velocity is None:
            qd.append(observation[..., estimated])
            estimated += 1
        else:
            qd.append(observation[..., c.velocity])
    for i in reading.context:
        q.append(observation[..., i])
        qd.append(xp.zeros_like(observation[..., i]))
    stacked = (xp.stack(q, axis=-1), xp.stack(qd, axis=-1))
    wide = np.result_type(stacked[0].dtype, np.float32)
    return stacked[0].astype(wide), stacked[1].astype(wide)
