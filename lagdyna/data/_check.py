from collections.abc import Callable, Mapping

import numpy as np

from ._data_error import DataError
from ._fields import FIELDS, check_dtype, check_names, column_names


def _row_name(i: int) -> str:
    """Name a row by its index."""
    return f"row {i}"


def validate_arrays(
    source: str,
    arrays: Mapping[str, np.ndarray],
    row_name: Callable[[int], str] = _row_name,
    *,
    times: bool = True,
) -> dict[str, np.ndarray]:
    """Validate the arrays of one recording and convert them to float64.

    NaN is accepted, because it marks gaps.

    **Arguments:**

    - `source`: name of the file and of the trajectory in it, for error messages.
    - `arrays`: arrays by name.
    - `row_name`: function that names a row in error messages, for example by the line of a
        file.
    - `times`: whether the times must increase.

    **Returns:** the arrays by name, shape `(time, width)`, in the order of `FIELDS`.

    **Raises:** [`lagdyna.data.DataError`][] for missing, unknown or empty arrays, values
    that are not real numbers, inconsistent shapes, fewer than two rows, infinities, columns
    that contain only NaN, and times that do not increase.
    """
    check_names(source, arrays)
    tables = {}
    for name in FIELDS:
        if name in arrays:
            tables[name] = _to_table(source, name, arrays[name])
    _check_shapes(source, tables)
    _check_values(source, tables, row_name)
    if times:
        check_times(source, tables["t"][:, 0], row_name)
    return tables


def _to_table(source: str, name: str, x: np.ndarray) -> np.ndarray:
    """Convert one array to float64 of shape `(time, width)`."""
    if x.size == 0:
        raise DataError(f"{source}: array `{name}` is empty; at least two rows are needed")
    check_dtype(source, name, x.dtype)
    if x.ndim == 1:
        x = x[:, None]
    if x.ndim != 2 or (name == "t" and x.shape[1] != 1):
        accepted = "(rows,)" if name == "t" else "(rows, columns)"
        raise DataError(f"{source}: array `{name}` has shape {x.shape}; {accepted} is accepted")
    # A long double may overflow to infinity, which `_check_values` rejects.
    with np.errstate(over="ignore"):
        return np.array(x, np.float64)


def _check_shapes(source: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Raise `DataError` if the numbers of rows or columns are inconsistent."""
    rows, n = arrays["t"].shape[0], arrays["q"].shape[1]
    for name, x in arrays.items():
        if x.shape[0] != rows:
            raise DataError(
                f"{source}: array `{name}` has {x.shape[0]} rows, but `t` has {rows}; "
                "all arrays of a trajectory must have the same number of rows"
            )
        if name in ("qd", "qdd", "tau") and x.shape[1] != n:
            raise DataError(
                f"{source}: array `{name}` has {x.shape[1]} columns, but `q` has {n}; "
                "q, qd, qdd and tau must have one column per coordinate"
            )
    if rows < 2:
        raise DataError(f"{source}: only one row; a trajectory needs at least two")


def _check_values(
    source: str, arrays: Mapping[str, np.ndarray], row_name: Callable[[int], str]
) -> None:
    """Raise `DataError` for infinities and for columns that contain only NaN."""
    for name, x in arrays.items():
        columns = column_names({name: x.shape[1]})
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
                "leave out arrays that were not recorded"
            )


def check_times(source: str, t: np.ndarray, row_name: Callable[[int], str]) -> None:
    """Raise `DataError` if the known times do not increase strictly."""
    known = np.flatnonzero(~np.isnan(t))
    # Compare instead of subtracting, which may overflow or underflow.
    wrong = np.flatnonzero(t[known][1:] <= t[known][:-1])
    if len(wrong) > 0:
        before, after = t[known[wrong[0]]], t[known[wrong[0] + 1]]
        hint = "; sort the rows, or number the runs of a file in a column `trajectory`"
        if after == before:
            hint = '; `duplicates = "drop"` (--data.duplicates drop) keeps the first of each'
        raise DataError(
            f"{source}: column t, {row_name(int(known[wrong[0] + 1]))}: found {after} after "
            f"{before}; times must increase from row to row{hint}"
        )
