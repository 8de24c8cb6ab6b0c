import itertools
from collections.abc import Iterator, Mapping, Sequence

import equinox as eqx
import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike

from ._check import validate_arrays
from ._data_error import DataError
from ._fields import FIELDS, check_joints
from ._pauses import is_pause


class Trajectory(eqx.Module):
    """Recording of a mechanical system without gaps, on the host in float64.

    **Arguments:**

    - `t`: times in seconds, strictly increasing, at least two, shape `(time,)`. Time steps
        may differ.
    - `q`: coordinates, metres or radians, shape `(time, n)`. A single coordinate may have
        shape `(time,)`.
    - `qd`, `qdd`: velocities and accelerations, shape `(time, n)`.
    - `tau`: generalised forces at the times `t`, N or N m, shape `(time, n)`.
    - `action`: actions of the agent in `[-1, 1]^m`, shape `(time, m)`. Row `k` is constant
        from `t[k]` to `t[k + 1]`. The last row is not used and may be NaN.
    - `joints`: a name for each coordinate, if they have names.

    **Raises:** [`lagdyna.data.DataError`][] for arrays that do not match this description.
    """

    t: Float64[np.ndarray, " time"]
    q: Float64[np.ndarray, "time n"]
    qd: Float64[np.ndarray, "time n"] | None
    qdd: Float64[np.ndarray, "time n"] | None
    tau: Float64[np.ndarray, "time n"] | None
    action: Float64[np.ndarray, "time m"] | None
    joints: tuple[str, ...] | None = eqx.field(static=True)

    def __init__(
        self,
        t: ArrayLike,
        q: ArrayLike,
        qd: ArrayLike | None = None,
        qdd: ArrayLike | None = None,
        tau: ArrayLike | None = None,
        action: ArrayLike | None = None,
        *,
        joints: Sequence[str] | None = None,
    ):
        given = {"t": t, "q": q, "qd": qd, "qdd": qdd, "tau": tau, "action": action}
        arrays = validate_arrays(
            "trajectory", {name: np.asarray(x) for name, x in given.items() if x is not None}
        )
        for name, x in arrays.items():
            rows = x[:-1] if name == "action" else x
            gaps = np.flatnonzero(np.isnan(rows).any(axis=1))
            if len(gaps) > 0:
                raise DataError(
                    f"trajectory: array `{name}`, row {gaps[0]}: found nan; a trajectory "
                    "must have no gaps, split it with `lagdyna.data.split_at_gaps`"
                )
        self.t, self.q = arrays["t"][:, 0], arrays["q"]
        self.qd, self.qdd = arrays.get("qd"), arrays.get("qdd")
        self.tau, self.action = arrays.get("tau"), arrays.get("action")
        self.joints = None if joints is None else check_joints(joints, self.q.shape[1])

    @property
    def n(self) -> int:
        """Number of coordinates."""
        return self.q.shape[1]

    @property
    def m(self) -> int:
        """Number of actions, 0 without `action`."""
        return 0 if self.action is None else self.action.shape[1]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.t.shape[0]

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """Recorded arrays by name, in the order of [`lagdyna.data.FIELDS`][]."""
        values = (self.t, self.q, self.qd, self.qdd, self.tau, self.action)
        named = zip(FIELDS, values, strict=True)
        return {name: value for name, value in named if value is not None}

    def between(self, first: int, last: int) -> "Trajectory":
        """Return rows `first` to `last`, `last` excluded."""
        return self.replaced({name: x[first:last] for name, x in self.arrays.items()})

    def replaced(self, arrays: Mapping[str, ArrayLike]) -> "Trajectory":
        """Return a trajectory of other arrays, with the same names of joints."""
        return Trajectory(**arrays, joints=self.joints)

    def of_joints(self, joints: Sequence[str]) -> "Trajectory":
        """Return a trajectory whose coordinates have another order; an action keeps its own.

        **Arguments:** `joints`, the names of this trajectory in the new order.
        """
        order = [(self.joints or ()).index(name) for name in joints]
        own = ("t", "action")
        arrays = {name: x if name in own else x[:, order] for name, x in self.arrays.items()}
        return Trajectory(**arrays, joints=joints)


class TrajectorySet(eqx.Module):
    """Set of trajectories of one system, with any lengths and time steps.

    **Arguments:**

    - `trajectories`: at least one trajectory. All must have the same arrays with the same
        numbers of columns, and the same names of joints where they have names.

    **Raises:** [`lagdyna.data.DataError`][] if there is no trajectory, or if arrays, numbers
    of columns or names of joints differ.
    """

    trajectories: tuple[Trajectory, ...]

    def __init__(self, trajectories: tuple[Trajectory, ...] | list[Trajectory]):
        self.trajectories = tuple(trajectories)
        if len(self.trajectories) == 0:
            raise DataError("trajectory set: no trajectory; at least one is needed")
        expected, joints = _widths(self.trajectories[0]), self.joints
        for i, trajectory in enumerate(self.trajectories):
            if (found := _widths(trajectory)) != expected:
                raise DataError(
                    f"trajectory set: trajectory {i} has {_describe(found)}, but "
                    f"trajectory 0 has {_describe(expected)}; all must have the same arrays "
                    "and columns"
                )
            if trajectory.joints not in (None, joints):
                raise DataError(
                    f"trajectory set: trajectory {i} has the joints "
                    f"{', '.join(trajectory.joints or ())}, but one before it has "
                    f"{', '.join(joints or ())}; all must have the same joints"
                )

    @property
    def joints(self) -> tuple[str, ...] | None:
        """Names of the coordinates, if any trajectory has them."""
        return next((x.joints for x in self.trajectories if x.joints is not None), None)

    @property
    def n(self) -> int:
        """Number of coordinates."""
        return self.trajectories[0].n

    @property
    def m(self) -> int:
        """Number of actions, 0 without `action`."""
        return self.trajectories[0].m

    @property
    def rows(self) -> int:
        """Total number of rows of all trajectories."""
        return sum(trajectory.rows for trajectory in self.trajectories)

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the arrays that every trajectory has.

        Without `qdd`, use losses on states predicted by the solver, such as
        [`lagdyna.learners.OneStepLoss`][].
        """
        return tuple(self.trajectories[0].arrays)

    def __len__(self) -> int:
        return len(self.trajectories)

    def __iter__(self) -> Iterator[Trajectory]:
        return iter(self.trajectories)

    def __getitem__(self, index: int) -> Trajectory:
        return self.trajectories[index]


def difference(one: TrajectorySet, other: TrajectorySet) -> tuple[str, str] | None:
    """Describe the arrays of two sets if their names or numbers of columns differ."""
    widths = _widths(one[0]), _widths(other[0])
    return None if widths[0] == widths[1] else (_describe(widths[0]), _describe(widths[1]))


def split_at_gaps(arrays: Mapping[str, ArrayLike], source: str = "recording") -> TrajectorySet:
    """Split a recording with gaps into trajectories.

    A row with NaN counts as a row left out. Where the rows left out make a pause, see
    [`lagdyna.data.split_at_pauses`][], the next row begins a new trajectory. Otherwise the
    trajectory goes on with a longer step, whose action is the mean over its known rows.

    If only `action` is NaN, the row is the last row of a trajectory, because it holds the
    next state of the row before it. A single row between two splits is dropped.

    **Arguments:**

    - `arrays`: arrays of a [`lagdyna.data.Trajectory`][] by name, with NaN in gaps.
    - `source`: name of the recording in error messages.

    **Returns:** a [`lagdyna.data.TrajectorySet`][].

    **Raises:** [`lagdyna.data.DataError`][] as for [`lagdyna.data.Trajectory`][], and if
    there are no two rows without NaN that belong to one trajectory.
    """
    validated = validate_arrays(source, {name: np.asarray(x) for name, x in arrays.items()})
    return TrajectorySet(trajectories_between_gaps(source, validated))


def split_at_pauses(trajectories: TrajectorySet) -> TrajectorySet:
    """Split trajectories at pauses in their times.

    A pause is a step of more than five usual steps. The usual step of a trajectory is the
    upper quartile of its steps. A single row between two pauses is dropped.

    **Arguments:**

    - `trajectories`: trajectories with any arrays.

    **Returns:** the [`lagdyna.data.TrajectorySet`][] of the pieces, in the original order.
    """
    pieces = []
    for x in trajectories:
        edges = [0, *(np.flatnonzero(is_pause(x.t)) + 1).tolist(), x.rows]
        pieces += [x.between(a, b) for a, b in itertools.pairwise(edges) if b - a > 1]
    found = TrajectorySet(pieces)
    if found.rows == trajectories.rows and len(found) == len(trajectories):
        return trajectories
    # The usual step of a piece may be shorter than that of the whole.
    return split_at_pauses(found)


def trajectories_between_gaps(
    source: str, arrays: Mapping[str, np.ndarray]
) -> list[Trajectory]:
    """Split validated arrays into the trajectories between their gaps."""
    complete = {name: np.all(~np.isnan(x), axis=1) for name, x in arrays.items()}
    known = complete.pop("action", np.ones(arrays["t"].shape[0], bool))
    rows: np.ndarray = np.flatnonzero(np.all(list(complete.values()), axis=0))
    kept = {name: x[rows] for name, x in arrays.items()}
    gap = np.diff(rows) > 1
    if "action" in arrays:
        for i in np.flatnonzero(gap & known[rows[:-1]]).tolist():
            kept["action"][i] = _mean_action(arrays, *rows[i : i + 2].tolist())
    # A step needs both of its states and its action.
    cut = ~known[rows[:-1]] | (gap & is_pause(kept["t"][:, 0]))
    edges = [0, *(np.flatnonzero(cut) + 1).tolist(), len(rows)]
    found = [
        Trajectory(**{name: x[a:b] for name, x in kept.items()}, joints=None)
        for a, b in itertools.pairwise(edges)
        if b - a > 1
    ]
    if not found:
        raise DataError(
            f"{source}: no two consecutive rows without nan{_describe_gaps(complete)}; a "
            "trajectory needs at least two; if columns were recorded at different rates, use "
            '`merge = "interpolate"` (--data.merge interpolate)'
        )
    return found


def _mean_action(arrays: Mapping[str, np.ndarray], first: int, last: int) -> np.ndarray:
    """Average the known actions from row `first` to row `last` over time."""
    t, action = arrays["t"][first:last, 0], arrays["action"][first:last]
    known = ~(np.isnan(t) | np.isnan(action).any(axis=1))
    durations = np.diff(t[known], append=arrays["t"][last])
    return durations @ action[known] / durations.sum()


def _describe_gaps(complete: Mapping[str, np.ndarray]) -> str:
    """Say how many rows of which arrays have NaN."""
    counts = {name: int(np.count_nonzero(~x)) for name, x in complete.items()}
    parts = [f"{name} in {count}" for name, count in counts.items() if count]
    return f" (nan in {', '.join(parts)} of {len(complete['t'])} rows)" if parts else ""


def _widths(trajectory: Trajectory) -> dict[str, int]:
    """Return the number of columns of each array."""
    return {name: 1 if x.ndim == 1 else x.shape[1] for name, x in trajectory.arrays.items()}


def _describe(widths: dict[str, int]) -> str:
    """Format the number of columns of each array."""
    return ", ".join(f"{name} ({width})" for name, width in widths.items())
