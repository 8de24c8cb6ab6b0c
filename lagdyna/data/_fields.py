"""The names of the format's arrays and columns, and what may stand in them."""

import re
from collections.abc import Iterable, Mapping

import numpy as np

from ._data_error import DataError

FIELDS = ("t", "q", "qd", "qdd", "tau", "action")
"""The arrays of a trajectory, in the order in which they are written."""

REQUIRED = ("t", "q")

_COLUMN = re.compile(r"(q|qd|qdd|tau|action)(0|[1-9][0-9]{0,5})")


def check_names(source: str, names: Iterable[str], extra: tuple[str, ...] = ()) -> None:
    """Refuses arrays that are missing or that the format does not know.

    An unknown name is more likely a misspelt `qd` than something to be ignored.
    """
    names = tuple(names)
    accepted = f"`t` and `q` are required, {', '.join((*FIELDS[2:], *extra))} accepted"
    for name in REQUIRED:
        if name not in names:
            found = ", ".join(repr(name) for name in names) or "nothing"
            raise DataError(f"{source}: no array `{name}`, found {found}; {accepted}")
    for name in names:
        if name not in FIELDS and name not in extra:
            raise DataError(f"{source}: unknown array {name!r}; {accepted}")


def columns_of(fields: Mapping[str, int]) -> list[str]:
    """The column names of fields of the given widths; a time has one column, `t`."""
    return [
        name if name == "t" else f"{name}{i}"
        for name, width in fields.items()
        for i in range(width)
    ]


def places_of(source: str, columns: list[str]) -> dict[str, list[int]]:
    """Where in a table the columns of each field stand, in the fields' order.

    **Raises:** [`lagdyna.data.DataError`][] for a column that is unknown, twice there, or
    whose lower-numbered neighbours are missing.
    """
    accepted = (
        "accepted are trajectory, t, and q0, q1, ... with any of qd0, ..., qdd0, ..., "
        "tau0, ..., action0, ..."
    )
    numbered: dict[str, dict[int, int]] = {}
    for place, column in enumerate(columns):
        match = _COLUMN.fullmatch(column)
        if match is None and column != "t":
            raise DataError(f"{source}: unknown column {column!r}; {accepted}")
        name, number = ("t", 0) if match is None else (match[1], int(match[2]))
        if number in numbered.setdefault(name, {}):
            raise DataError(f"{source}: column {column!r} appears twice; {accepted}")
        numbered[name][number] = place
    for name in REQUIRED:
        if name not in numbered:
            column = "t" if name == "t" else "q0"
            raise DataError(f"{source}: no column {column!r}; {accepted}")
    for name, places in numbered.items():
        for number in range(len(places)):
            if number not in places:
                raise DataError(
                    f"{source}: no column '{name}{number}' although there is a "
                    f"'{name}{max(places)}'; columns are numbered from 0 without holes"
                )
    return {
        name: [numbered[name][i] for i in range(len(numbered[name]))]
        for name in FIELDS
        if name in numbered
    }


def check_kind(source: str, name: str, dtype: np.dtype) -> None:
    """Refuses anything but real numbers: complex ones, strings, objects, times."""
    if dtype.kind not in "fiu":
        kinds = {"c": "complex numbers", "b": "booleans", "O": "Python objects"}
        kinds |= {"U": "strings", "S": "strings", "V": "records"}
        found = kinds.get(dtype.kind, f"values of type {dtype}")
        raise DataError(f"{source}: array `{name}` holds {found}; real numbers are accepted")
