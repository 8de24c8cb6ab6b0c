from collections.abc import Callable, Mapping

import numpy as np

from ._data_error import DataError
from ._fields import FIELDS, check_kind, check_names, columns_of


def _row(i: int) -> str:
    return f"row {i}"


def checked(
    source: str, arrays: Mapping[str, np.ndarray], row_name: Callable[[int], str] = _row
) -> dict[str, np.ndarray]:
    """The arrays of one recording as float64, shape `(time, width)`, in their order.

    Nan is let through where it can be a gap.

    **Arguments:**

    - `source`: the file, and the trajectory in it, for errors.
    - `arrays`: what was read, by name.
    - `row_name`: what a user calls the row of that index, say the line of a file.

    **Raises:** [`lagdyna.data.DataError`][] for missing, unknown or empty arrays, values
    that are not real numbers, shapes that do not fit, fewer than two rows, infinities,
    columns of nan only, and times that do not increase.
    """
    check_names(source, arrays)
    numbers = {}
    for name in FIELDS:
        if name in arrays:
            numbers[name] = _as_table(source, name, arrays[name])
    _check_shapes(source, numbers)
    _check_values(source, numbers, row_name)
    _check_times(source, numbers["t"][:, 0], row_name)
    return numbers


def _as_table(source: str, name: str, x: np.ndarray) -> np.ndarray:
    if x.size == 0:
        raise DataError(f"{source}: array `{name}` is empty; at least two rows are needed")
    check_kind(source, name, x.dtype)
    if x.ndim == 1:
        x = x[:, None]
    if x.ndim != 2 or (name == "t" and x.shape[1] != 1):
        accepted = "(rows,)" if name == "t" else "(rows, columns)"
        raise DataError(f"{source}: array `{name}` has shape {x.shape}; {accepted} is accepted")
    with np.errstate(over="ignore"):  # a long double may overflow; infinities are refused
        return np.array(x, np.float64)


def _check_shapes(source: str, arrays: Mapping[str, np.ndarray]) -> None:
    rows, n = arrays["t"].shape[0], arrays["q"].shape[1]
    for name, x in arrays.items():
        if x.shape[0] != rows:
            raise DataError(
                f"{source}: array `{name}` has {x.shape[0]} rows where `t` has {rows}; "
                "all arrays of a trajectory have one length"
            )
        if name in ("qd", "qdd", "tau") and x.shape[1] != n:
            raise DataError(
                f"{source}: array `{name}` has {x.shape[1]} columns where `q` has {n}; "
                "q, qd, qdd and tau have one column for each coordinate"
            )
    if rows < 2:
        raise DataError(f"{source}: only one row; a trajectory has at least two")


def _check_values(
    source: str, arrays: Mapping[str, np.ndarray], row_name: Callable[[int], str]
) -> None:
    for name, x in arrays.items():
        columns = columns_of({name: x.shape[1]})
        infinite = np.argwhere(np.isinf(x))
        if len(infinite) > 0:
            i, j = (int(k) for k in infinite[0])
            raise DataError(
                f"{source}: column {columns[j]}, {row_name(i)}: found {x[i, j]}; "
                "finite numbers are accepted, and nan for a gap"
            )
        empty = np.flatnonzero(np.isnan(x).all(axis=0))
        if len(empty) > 0:
            raise DataError(
                f"{source}: column {columns[empty[0]]} is nan in every row; "
                "leave out what was not recorded"
            )


def _check_times(source: str, t: np.ndarray, row_name: Callable[[int], str]) -> None:
    known = np.flatnonzero(~np.isnan(t))
    # Subtracting might overflow or underflow; comparing does not.
    wrong = np.flatnonzero(t[known][1:] <= t[known][:-1])
    if len(wrong) > 0:
        before, after = t[known[wrong[0]]], t[known[wrong[0] + 1]]
        raise DataError(
            f"{source}: column t, {row_name(int(known[wrong[0] + 1]))}: found {after} after "
            f"{before}; times increase from row to row"
        )
