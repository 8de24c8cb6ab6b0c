"""Array and column names of the file formats, and their checks."""

import re
from collections.abc import Iterable, Mapping

import numpy as np

from ._data_error import DataError

FIELDS = ("t", "q", "qd", "qdd", "tau", "action")
"""Names of a trajectory's arrays, in the order in which files store them."""

REQUIRED = ("t", "q")

_COLUMN = re.compile(r"(q|qd|qdd|tau|action)(0|[1-9][0-9]{0,5})")


def check_names(source: str, names: Iterable[str], extra: tuple[str, ...] = ()) -> None:
    """Raise `DataError` for missing and unknown array names.

    Unknown arrays are not ignored, because they are likely to be misspelt names.

    **Arguments:**

    - `source`: name of the data in error messages.
    - `names`: the array names.
    - `extra`: further names that are accepted.
    """
    names = tuple(names)
    accepted = f"`t` and `q` are required, {', '.join((*FIELDS[2:], *extra))} are optional"
    for name in REQUIRED:
        if name not in names:
            found = ", ".join(repr(name) for name in names) or "nothing"
            raise DataError(f"{source}: no array `{name}`, found {found}; {accepted}")
    for name in names:
        if name not in FIELDS and name not in extra:
            raise DataError(f"{source}: unknown array {name!r}; {accepted}")


def column_names(fields: Mapping[str, int]) -> list[str]:
    """List the column names of arrays with the given widths.

    The name of the time column is `t`; all other names carry a number.
    """
    return [
        name if name == "t" else f"{name}{i}"
        for name, width in fields.items()
        for i in range(width)
    ]


def column_indices(source: str, columns: list[str], hint: str = "") -> dict[str, list[int]]:
    """Find the indices of each array's columns in a table.

    **Arguments:**

    - `source`: name of the data in error messages.
    - `columns`: the column names of the table.
    - `hint`: what to do about unknown and missing columns, for error messages.

    **Returns:** for each array name, in the order of `FIELDS`, the indices of its columns.

    **Raises:** [`lagdyna.data.DataError`][] for unknown and duplicate columns, missing
    required columns, and gaps in the numbering.
    """
    accepted = (
        "accepted columns: trajectory, t, q0, q1, ..., qd0, ..., qdd0, ..., tau0, ..., "
        "action0, ..."
    )
    numbered: dict[str, dict[int, int]] = {}
    for index, column in enumerate(columns):
        match = _COLUMN.fullmatch(column)
        if match is None and column != "t":
            raise DataError(f"{source}: unknown column {column!r}; {accepted}{hint}")
        name, number = ("t", 0) if match is None else (match[1], int(match[2]))
        if number in numbered.setdefault(name, {}):
            raise DataError(f"{source}: column {column!r} appears twice; {accepted}")
        numbered[name][number] = index
    for name in REQUIRED:
        if name not in numbered:
            column = "t" if name == "t" else "q0"
            raise DataError(f"{source}: no column {column!r}; {accepted}{hint}")
    for name, indices in numbered.items():
        for number in range(len(indices)):
            if number not in indices:
                raise DataError(
                    f"{source}: no column '{name}{number}', but there is a "
                    f"'{name}{max(indices)}'; columns must be numbered from 0 without gaps"
                )
    return {
        name: [numbered[name][i] for i in range(len(numbered[name]))]
        for name in FIELDS
        if name in numbered
    }


def check_joints(joints: Iterable[str], n: int) -> tuple[str, ...]:
    """Return the names of `n` joints as a tuple.

    **Raises:** [`lagdyna.data.DataError`][] for another number of names, or equal ones.
    """
    names = tuple(str(name) for name in joints)
    if len(names) != n or len(set(names)) != n or not all(names):
        raise DataError(
            f"`joints` was {', '.join(map(repr, names))}; one name of its own for each of the "
            f"{n} coordinates is accepted"
        )
    return names


def check_dtype(source: str, name: str, dtype: np.dtype) -> None:
    """Raise `DataError` if `dtype` is not a type of real numbers."""
    if dtype.kind not in "fiu":
        kinds = {"c": "complex numbers", "b": "booleans", "O": "Python objects"}
        kinds |= {"U": "strings", "S": "strings", "V": "records"}
        found = kinds.get(dtype.kind, f"values of type {dtype}")
        raise DataError(f"{source}: array `{name}` holds {found}; real numbers are accepted")
