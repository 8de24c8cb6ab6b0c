"""Merging of columns that were recorded at different times."""

from collections.abc import Mapping

import numpy as np

from .._errors import DataError

_LONGEST = 5  # usual steps of a column; longer pauses are gaps


def sort_by_time(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Order the rows by time, if the times of each column increase already.

    **Returns:** the rows in order, shape `(rows,)`; as given if a column's times do not
    increase.
    """
    t = arrays["t"][:, 0]
    for name, x in arrays.items():
        for column in x.T if name != "t" else ():
            if np.any(np.diff(t[_known(t, column)]) < 0):
                return np.arange(len(t))
    return np.argsort(t, kind="stable")  # nan last


def merge_columns(
    source: str, arrays: Mapping[str, np.ndarray], angles: np.ndarray, drop: bool
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Interpolate all columns at the times of the positions.

    The result has the times of the position column with the fewest values. Actions keep their
    last value until the next one. Other columns are interpolated linearly, angles along the
    shorter way round the circle. A pause of more than five usual steps of a column stays a
    gap.

    **Arguments:**

    - `source`: name of the recording in error messages.
    - `arrays`: validated arrays, with nan where a column has no value.
    - `angles`: whether each coordinate is an angle, shape `(n,)`.
    - `drop`: whether values at the same time as the value before are left out.

    **Returns:** the rows whose times the result has, and the arrays.

    **Raises:** [`lagdyna.data.DataError`][] if the times of a column do not increase.
    """
    t = arrays["t"][:, 0]
    columns = {
        (name, i): _values(source, column, t, x[:, i], drop)
        for name, x in arrays.items()
        if name != "t"
        for i, column in enumerate(f"{name}{i}" for i in range(x.shape[1]))
    }
    positions = [columns["q", i] for i in range(arrays["q"].shape[1])]
    rows = min(positions, key=len)
    merged = {"t": arrays["t"][rows]}
    for name, x in arrays.items():
        if name == "t":
            continue
        result = np.empty((len(rows), x.shape[1]))
        for i in range(x.shape[1]):
            known = columns[name, i]
            times, values = t[known], x[known, i]
            if name == "action":
                result[:, i] = _hold(t[rows], times, values)
                continue
            if name == "q" and angles[i] and known is not rows:
                values = np.unwrap(values)
            result[:, i] = _interpolate(t[rows], times, values)
        merged[name] = result
    return rows, merged


def _known(t: np.ndarray, column: np.ndarray) -> np.ndarray:
    return np.flatnonzero(~np.isnan(t) & ~np.isnan(column))


def _values(
    source: str, name: str, t: np.ndarray, column: np.ndarray, drop: bool
) -> np.ndarray:
    """Find the rows in which a column has a value."""
    rows = _known(t, column)
    if drop:
        rows = rows[np.concatenate([[True], np.diff(t[rows]) != 0])] if len(rows) else rows
    wrong = np.flatnonzero(np.diff(t[rows]) <= 0)
    if len(wrong) > 0:
        before, after = t[rows[wrong[0]]], t[rows[wrong[0] + 1]]
        same = '; `duplicates = "drop"` (--data.duplicates drop) keeps the first'
        raise DataError(
            f"{source}: column {name} has a value at t = {after} after one at t = {before}; "
            f"times must increase{same if after == before else ''}"
        )
    if len(rows) < 2:
        raise DataError(f"{source}: column {name} has {len(rows)} values; two are needed")
    return rows


def _interpolate(at: np.ndarray, times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Interpolate linearly; nan outside of the times and within pauses."""
    result = np.interp(at, times, values, left=np.nan, right=np.nan)
    right = np.clip(np.searchsorted(times, at), 1, len(times) - 1)
    steps = np.diff(times)
    within = (at > times[right - 1]) & (at < times[right])
    pause = steps[right - 1] > _LONGEST * np.median(steps)
    return np.where(within & pause, np.nan, result)


def _hold(at: np.ndarray, times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Keep each value until the next one; nan before the first."""
    last = np.searchsorted(times, at, side="right") - 1
    return np.where(last < 0, np.nan, values[np.maximum(last, 0)])
