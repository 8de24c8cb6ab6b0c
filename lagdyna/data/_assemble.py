"""From the arrays of one recording in a file to trajectories."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from ..mechanics import Coordinates
from ..tables import Columns, expand_columns, field_of, merge_columns, sort_by_time
from ._check import check_times, validate_arrays
from ._data_error import DataError
from ._limit import LIMIT_BYTES
from ._trajectory import Trajectory, trajectories_between_gaps

_FAR = 5  # usual steps; times that fall back further belong to a new run


class ReadWarning(UserWarning):
    """Warning about what was done to a recording while it was read."""


class ReadOptions(NamedTuple):
    """Options of [`lagdyna.data.read`][], for the reader of each format."""

    limit_bytes: int = LIMIT_BYTES
    columns: Mapping[str, str] = {}
    merge: Literal["interpolate"] | None = None
    duplicates: Literal["drop"] | None = None
    coordinates: Callable[[int], Coordinates] | None = None
    topic: str | None = None

    def check(self) -> None:
        """Raise `DataError` for values that are not accepted."""
        for name, accepted in (("merge", "interpolate"), ("duplicates", "drop")):
            if getattr(self, name) not in (None, accepted):
                raise DataError(
                    f"`{name}` was {getattr(self, name)!r}; None and {accepted!r} are accepted"
                )

    def renamed(self, source: str, names: list[str]) -> Columns:
        """Give each array that is read its name in the file, by lagdyna's name.

        **Raises:** [`lagdyna.data.DataError`][] if `columns` names an array that is missing.
        """
        given = expand_columns(source, self.columns, names, "array")
        mapped = set(given.names.values()) | {field_of(name) for name in given.names}
        same = {name: name for name in names if name not in mapped}
        if self.columns:
            same = {name: name for name in same if name in _OURS}
        return Columns({**same, **given.names}, given.joints)

    def keeps_joints(self) -> bool:
        """Whether `q` is as it was stored, so that the stored names of joints hold."""
        return not any(field_of(name) == "q" for name in self.columns)


_OURS = ("t", "q", "qd", "qdd", "tau", "action", "lengths", "joints", "trajectory")


def assemble(
    source: str,
    arrays: Mapping[str, np.ndarray],
    options: ReadOptions,
    row_name: Callable[[int], str] = "row {}".format,
    *,
    several: bool = True,
) -> list[Trajectory]:
    """Convert the arrays of one recording to trajectories.

    **Arguments:**

    - `source`, `arrays`, `row_name`: as for `validate_arrays`.
    - `options`: options of the reader.
    - `several`: whether the arrays may hold several runs, one after the other.

    **Raises:** [`lagdyna.data.DataError`][] if the arrays are invalid.
    """
    arrays = validate_arrays(source, arrays, row_name, times=False)
    rows = np.arange(len(arrays["t"]))
    angles = np.zeros(arrays["q"].shape[1], bool)
    if options.merge is not None:
        if options.coordinates is not None:
            angles[:] = options.coordinates(arrays["q"].shape[1]).angles
        rows = sort_by_time(arrays)
        arrays = {name: x[rows] for name, x in arrays.items()}
    starts = _run_starts(arrays["t"][:, 0]) if several else []
    if starts:
        times = "once" if len(starts) == 1 else f"{len(starts)} times"
        warnings.warn(
            f"{source}: t falls back {times}, first at {row_name(int(rows[starts[0]]))}; a new "
            "trajectory begins there",
            ReadWarning,
            stacklevel=3,
        )
    trajectories, known, kept = [], 0, 0
    for part in np.split(np.arange(len(rows)), starts):
        run = {name: x[part] for name, x in arrays.items()}
        names = rows[part]
        if options.merge is not None:
            chosen, run = merge_columns(source, run, angles, options.duplicates == "drop")
            names = names[chosen]
        elif options.duplicates is not None:
            chosen = _first_of_equal(run["t"][:, 0])
            names, run = names[chosen], {name: x[chosen] for name, x in run.items()}
        check_times(source, run["t"][:, 0], lambda row, names=names: row_name(int(names[row])))
        trajectories += trajectories_between_gaps(source, run)
        known += len(names)
    kept = sum(trajectory.rows for trajectory in trajectories)
    if kept < known / 2 and options.merge is None:
        warnings.warn(
            f"{source}: {known - kept} of {known} rows are left out, because they hold nan or "
            "stand alone between rows that do; if columns were recorded at different rates, "
            'use `merge = "interpolate"` (--data.merge interpolate)',
            ReadWarning,
            stacklevel=3,
        )
    return trajectories


def named(
    trajectories: list[Trajectory], joints: Sequence[str] | None, source: str
) -> list[Trajectory]:
    """Give the coordinates of trajectories the names of joints, if there are any.

    **Raises:** [`lagdyna.data.DataError`][] for another number of names, or equal ones.
    """
    if joints is None:
        return trajectories
    try:
        return [Trajectory(**each.arrays, joints=joints) for each in trajectories]
    except DataError as error:
        raise DataError(f"{source}: {error}") from error


def _run_starts(t: np.ndarray) -> list[int]:
    """Find the rows at which a new run begins: `t` returns to its start, or falls far back."""
    known = np.flatnonzero(~np.isnan(t))
    steps = np.diff(t[known])
    forward = steps[steps > 0]
    falls = np.flatnonzero(steps < 0) + 1
    if len(falls) == 0 or len(forward) == 0:
        return []
    step, first = np.median(forward), 0
    for fall in [*falls.tolist(), len(known)]:
        if fall - first < 2:  # rows in disorder, not runs
            return []
        if fall == len(known):
            break
        before, after = t[known[fall - 1]], t[known[fall]]
        if after > t[known[first]] + step / 2 and before - after <= _FAR * step:
            return []
        first = fall
    return known[falls].tolist()


def _first_of_equal(t: np.ndarray) -> np.ndarray:
    """Find the rows that do not repeat the time of the row before."""
    repeats = np.concatenate([[False], t[1:] == t[:-1]])
    return np.flatnonzero(~repeats)
