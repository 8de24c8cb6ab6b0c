from collections.abc import Iterator, Mapping

import equinox as eqx
import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike

from ._check import checked
from ._data_error import DataError
from ._fields import FIELDS


class Trajectory(eqx.Module):
    """One uninterrupted recording of a mechanical system, on the host in float64.

    **Arguments:**

    - `t`: times in seconds, strictly increasing, at least two, shape `(time,)`. Steps
        need not be equal.
    - `q`: coordinates, metres or radians, shape `(time, n)`; `(time,)` for one of them.
    - `qd`, `qdd`: velocities and accelerations, shape `(time, n)`.
    - `tau`: generalised forces at the times `t`, N or N m, shape `(time, n)`.
    - `action`: what the agent did, in `[-1, 1]^m`, shape `(time, m)`. Row `k` is held from
        `t[k]` to `t[k + 1]`, so the last row is not used and may be nan.

    **Raises:** [`lagdyna.data.DataError`][] for anything else.
    """

    t: Float64[np.ndarray, " time"]
    q: Float64[np.ndarray, "time n"]
    qd: Float64[np.ndarray, "time n"] | None
    qdd: Float64[np.ndarray, "time n"] | None
    tau: Float64[np.ndarray, "time n"] | None
    action: Float64[np.ndarray, "time m"] | None

    def __init__(
        self,
        t: ArrayLike,
        q: ArrayLike,
        qd: ArrayLike | None = None,
        qdd: ArrayLike | None = None,
        tau: ArrayLike | None = None,
        action: ArrayLike | None = None,
    ):
        given = {"t": t, "q": q, "qd": qd, "qdd": qdd, "tau": tau, "action": action}
        arrays = checked(
            "trajectory", {name: np.asarray(x) for name, x in given.items() if x is not None}
        )
        for name, x in arrays.items():
            rows = x[:-1] if name == "action" else x
            gaps = np.flatnonzero(np.isnan(rows).any(axis=1))
            if len(gaps) > 0:
                raise DataError(
                    f"trajectory: array `{name}`, row {gaps[0]}: found nan"
                    "; a trajectory has no gaps, `lagdyna.data.split_at_gaps` makes several"
                )
        self.t, self.q = arrays["t"][:, 0], arrays["q"]
        self.qd, self.qdd = arrays.get("qd"), arrays.get("qdd")
        self.tau, self.action = arrays.get("tau"), arrays.get("action")

    @property
    def n(self) -> int:
        """The number of coordinates."""
        return self.q.shape[1]

    @property
    def m(self) -> int:
        """The number of actions, 0 without `action`."""
        return 0 if self.action is None else self.action.shape[1]

    @property
    def rows(self) -> int:
        """The number of times."""
        return self.t.shape[0]

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays that are there, by name, in the order of the format."""
        values = (self.t, self.q, self.qd, self.qdd, self.tau, self.action)
        named = zip(FIELDS, values, strict=True)
        return {name: value for name, value in named if value is not None}

    def between(self, first: int, last: int) -> "Trajectory":
        """Rows `first` to `last`, the latter not included."""
        return Trajectory(**{name: x[first:last] for name, x in self.arrays.items()})


class TrajectorySet(eqx.Module):
    """Trajectories of one system, of any lengths and time steps.

    **Arguments:**

    - `trajectories`: at least one, all with the same arrays of the same widths.

    **Raises:** [`lagdyna.data.DataError`][] if they are none or differ.
    """

    trajectories: tuple[Trajectory, ...]

    def __init__(self, trajectories: tuple[Trajectory, ...] | list[Trajectory]):
        self.trajectories = tuple(trajectories)
        if len(self.trajectories) == 0:
            raise DataError("trajectory set: no trajectory; at least one is needed")
        expected = _widths(self.trajectories[0])
        for i, trajectory in enumerate(self.trajectories):
            if (found := _widths(trajectory)) != expected:
                raise DataError(
                    f"trajectory set: trajectory {i} has {_described(found)}, where "
                    f"trajectory 0 has {_described(expected)}; all must have the same"
                )

    @property
    def n(self) -> int:
        """The number of coordinates."""
        return self.trajectories[0].n

    @property
    def m(self) -> int:
        """The number of actions, 0 without `action`."""
        return self.trajectories[0].m

    @property
    def rows(self) -> int:
        """The number of times in all trajectories together."""
        return sum(trajectory.rows for trajectory in self.trajectories)

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the arrays that every trajectory has.

        Without `qdd` in it, learn with losses that go through the solver.
        """
        return tuple(self.trajectories[0].arrays)

    def __len__(self) -> int:
        return len(self.trajectories)

    def __iter__(self) -> Iterator[Trajectory]:
        return iter(self.trajectories)

    def __getitem__(self, index: int) -> Trajectory:
        return self.trajectories[index]


def split_at_gaps(arrays: Mapping[str, ArrayLike], source: str = "recording") -> TrajectorySet:
    """Cuts a recording with gaps into trajectories.

    A row with nan in it is a gap. It belongs to no trajectory, except that a row whose
    `action` alone is nan still tells where the row before it led, and so ends one.
    What lies alone between two gaps is dropped.

    **Arguments:**

    - `arrays`: those of a [`lagdyna.data.Trajectory`][], by name, with nan in gaps.
    - `source`: how an error names the recording.

    **Raises:** [`lagdyna.data.DataError`][] as `Trajectory` does, and if no two rows
    without nan follow each other.
    """
    values = checked(source, {name: np.asarray(x) for name, x in arrays.items()})
    return TrajectorySet(pieces(source, values))


def pieces(source: str, arrays: Mapping[str, np.ndarray]) -> list[Trajectory]:
    """The trajectories between the gaps of arrays that were checked."""
    state = np.ones(arrays["t"].shape[0], bool)
    action = state.copy()
    for name, x in arrays.items():
        complete = ~np.isnan(x).any(axis=1)
        if name == "action":
            action &= complete
        else:
            state &= complete
    # A step leads from one row to the next if both states and the action between are known.
    steps = np.concatenate([[False], state[:-1] & action[:-1] & state[1:], [False]])
    first, last = np.flatnonzero(np.diff(steps.astype(np.int8))).reshape(-1, 2).T
    if len(first) == 0:
        raise DataError(
            f"{source}: no two rows without nan follow each other; a trajectory needs them"
        )
    return [
        Trajectory(**{name: x[a : b + 1] for name, x in arrays.items()})
        for a, b in zip(first, last, strict=True)
    ]


def _widths(trajectory: Trajectory) -> dict[str, int]:
    return {name: 1 if x.ndim == 1 else x.shape[1] for name, x in trajectory.arrays.items()}


def _described(widths: dict[str, int]) -> str:
    return ", ".join(f"{name} ({width})" for name, width in widths.items())
