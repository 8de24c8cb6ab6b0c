"""Header of a table: separator, column names, and units."""

import csv
import difflib
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .._errors import DataError
from ._units import factor_of, is_unit

_UNIT_IN_NAME = re.compile(r"(.*?)\s*[\[(]([^\[\]()]*)[\])]")

# Words in names of other programs, by array. The order decides between several.
_WORDS = (
    ("qdd", {"acc", "accel", "acceleration", "qdd", "ddq"}),
    ("qd", {"vel", "velocity", "speed", "qd", "dq", "qdot", "omega"}),
    ("tau", {"effort", "torque", "force", "tau"}),
    ("action", {"action", "cmd", "command", "control", "u"}),
    ("q", {"pos", "position", "angle", "theta", "q"}),
    ("t", {"t", "time", "stamp", "timestamp", "sec", "secs", "seconds"}),
)


class Header(NamedTuple):
    """Columns of a table that are read.

    **Attributes:**

    - `names`: the column names, such as `q0`.
    - `places`: the index of each among the cells of a line.
    - `units`: the unit of each that the first line names, or `None`.
    - `width`: number of cells of a line.
    - `separator`: the character between cells; `None` for white space.
    - `hint`: what to do about unknown names, for messages; empty if there is none.
    """

    names: list[str]
    places: list[int]
    units: list[str | None]
    width: int
    separator: str | None
    hint: str

    def cells(self, source: str, number: int, line: str) -> list[str]:
        """Split a line at the separator."""
        return _split(source, number, line, self.separator)

    def is_units(self, cells: Sequence[str]) -> bool:
        """Whether a line holds units in place of numbers."""
        texts = [cell.strip() for cell in cells]
        return len(texts) == self.width and any(texts) and all(map(is_unit, texts))

    def factors(self, source: str, line: Sequence[str] | None) -> list[float]:
        """Find the factors that convert the columns to SI units.

        **Arguments:** `line`, the cells of a line of units, if there is one.

        **Raises:** [`lagdyna.data.DataError`][] for an unknown unit.
        """
        units = self.units if line is None else [line[i].strip() for i in self.places]
        pairs = zip(self.names, units, strict=True)
        return [1.0 if unit is None else factor_of(source, name, unit) for name, unit in pairs]


def read_header(source: str, line: str, columns: Mapping[str, str]) -> Header:
    """Read the first line of a table.

    **Arguments:**

    - `source`: name of the file in error messages.
    - `line`: the line.
    - `columns`: the file's name of a column, by lagdyna's name. Without an entry a column must
        have lagdyna's name. With any entry, columns of other names are not read.

    **Raises:** [`lagdyna.data.DataError`][] for a name of `columns` that is not found.
    """
    line = line.removeprefix("#")  # as `numpy.savetxt` writes it
    separator = next((each for each in ",;\t" if each in line), None)
    found = [name.strip() for name in _split(source, 1, line, separator)]
    bare = [_without_unit(name) for name in found]
    theirs = {name: i for pair in (bare, found) for i, name in enumerate(pair)}
    for ours, name in columns.items():
        if name not in theirs:
            near = difflib.get_close_matches(name, theirs, n=1)
            hint = f"nearest: {near[0]!r}; " if near else ""
            raise DataError(
                f"{source}: `columns` names {name!r} for {ours}, and there is no such column; "
                f"{hint}found {', '.join(map(repr, found))}"
            )
    mapped = {theirs[name]: ours for ours, name in columns.items()}
    names, places = [], []
    for i, name in enumerate(bare):
        own = mapped.get(i, name)
        if i in mapped or not columns or (_is_ours(own) and own not in columns):
            names.append(own)
            places.append(i)
    if names.count("trajectory") > 1:
        raise DataError(f"{source}: column 'trajectory' appears twice; names must be unique")
    units = [_unit_in(found[i]) for i in places]
    hint = "" if columns else _suggestion(bare)
    return Header(names, places, units, len(found), separator, hint)


def _split(source: str, number: int, line: str, separator: str | None) -> list[str]:
    """Split one line into its cells."""
    if separator is None:
        return line.split()
    try:
        return next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    except csv.Error as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{source}: line {number} cannot be split at {separator!r} ({reason}); "
            "cells with commas, semicolons or tabs between are accepted"
        ) from error


def _without_unit(name: str) -> str:
    match = _UNIT_IN_NAME.fullmatch(name)
    return name if match is None else match[1]


def _unit_in(name: str) -> str | None:
    match = _UNIT_IN_NAME.fullmatch(name)
    return None if match is None else match[2]


def _is_ours(name: str) -> bool:
    return name in ("t", "trajectory") or _is_numbered(name)


def _is_numbered(name: str) -> bool:
    return re.fullmatch(r"(q|qd|qdd|tau|action)(0|[1-9][0-9]{0,5})", name) is not None


def _suggestion(names: Sequence[str]) -> str:
    """Propose a mapping of foreign column names; empty if all names are lagdyna's."""
    if all(map(_is_ours, names)):
        return ""
    counts: dict[str, int] = {}
    options = []
    for name in names:
        words = set(re.split(r"[^a-z]+", name.casefold()))
        field = next((field for field, known in _WORDS if words & known), None)
        if field is None or (field == "t" and "t" in counts):
            continue
        number = counts.get(field, 0)
        counts[field] = number + 1
        ours = field if field == "t" else f"{field}{number}"
        if ours != name:
            shown = name if re.fullmatch(r"\w+", name) else repr(name)
            options.append(f"--data.columns.{ours} {shown}")
    if "q" not in counts:
        options.append("--data.columns.q0 NAME")
    return f"; or say which column is which: {' '.join(options[:12])} (`columns` of `read`)"
