"""Header of a table: separator, column names, and units."""

import csv
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .._errors import DataError
from ._columns import expand_columns, field_of
from ._units import factor_of, is_unit

# A number that follows at once, as in `position[0]`, is no unit.
_UNIT_IN_NAME = re.compile(r"(.*?)(?:\s+|(?![\[(][0-9]+[\])]))[\[(]([^\[\]()]*)[\])]")


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
    - `joints`: names of the joints, if a pattern found them.
    """

    names: list[str]
    places: list[int]
    units: list[str | None]
    width: int
    separator: str | None
    hint: str
    joints: tuple[str, ...] | None = None

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
    - `columns`: the file's name of a column, or a pattern, by lagdyna's name; see
        [`lagdyna.tables.expand_columns`][]. Without an entry a column must have lagdyna's
        name. With any entry, columns of other names are not read.

    **Raises:** [`lagdyna.data.DataError`][] for a name of `columns` that is not found.
    """
    line = line.removeprefix("#")  # as `numpy.savetxt` writes it
    separator = next((each for each in ",;\t" if each in line), None)
    found = [name.strip() for name in _split(source, 1, line, separator)]
    if found and all(_is_number(name) for name in found):
        raise DataError(
            f"{source}: the first line holds numbers, {', '.join(found[:4])}, ...; a first "
            "line of column names is needed, as t,q0,qd0,tau0"
        )
    bare = [_without_unit(name) for name in found]
    theirs = {name: i for pair in (bare, found) for i, name in enumerate(pair)}
    whole = dict(zip(found, bare, strict=True))
    given = {ours: whole.get(name, name) for ours, name in _numbered(columns).items()}
    expanded = expand_columns(source, given, bare)
    columns = expanded.names
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
    hint = _suggestion(bare, columns)
    return Header(names, places, units, len(found), separator, hint, expanded.joints)


def _numbered(columns: Mapping[str, str]) -> dict[str, str]:
    """Number the name of a single column of an array: `q` becomes `q0`."""
    return {
        f"{ours}0" if field_of(f"{ours}0") == ours and "*" not in theirs else ours: theirs
        for ours, theirs in columns.items()
    }


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


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def _is_ours(name: str) -> bool:
    return name in ("t", "trajectory") or _is_numbered(name)


def _is_numbered(name: str) -> bool:
    return field_of(name) != name


def _suggestion(names: Sequence[str], columns: Mapping[str, str]) -> str:
    """Propose a mapping of foreign column names; empty if all names are lagdyna's.

    With `columns`, only required arrays are proposed that these leave out.
    """
    if all(map(_is_ours, names)):
        return ""
    given = {field_of(ours) for ours in columns}
    found: dict[str, list[str]] = {}
    for name in names:
        words = set(re.split(r"[^a-z]+", name.casefold()))
        field = next((field for field, known in _WORDS if words & known), None)
        wanted = field in ("t", "q") and field not in given if columns else field is not None
        if field is None or not wanted or (field == "t" and "t" in found):
            continue
        found.setdefault(field, []).append(name)
    if "q" not in found and "q" not in given:
        found["q"] = ["NAME"]
    if not found:
        return ""
    return f"; or say which column is which: {_options(found, names)} (`columns` of `read`)"


def _options(found: Mapping[str, Sequence[str]], names: Sequence[str]) -> str:
    """Write a mapping of columns as options: patterns if there are several of each array."""
    patterns = {field: _pattern(mine) for field, mine in found.items()}
    try:
        if max(map(len, found.values())) > 1 and not any(set(",= '") & set(x) for x in names):
            expand_columns("", patterns, names)
            return "--columns " + ",".join(f"{x}={name}" for x, name in patterns.items())
    except DataError:
        pass
    options = []
    for field, mine in found.items():
        for i, name in enumerate(mine):
            ours = field if field == "t" else f"{field}{i}"
            if ours != name:
                shown = name if re.fullmatch(r"\w+", name) else repr(name)
                options.append(f"--data.columns.{ours} {shown}")
    return " ".join(options[:12])


def _pattern(names: Sequence[str]) -> str:
    """Find the pattern of several names, and of one the name itself."""
    if len(names) == 1:
        return names[0]
    before = _shared_start(names).rstrip("0123456789")
    ends = [name[len(before) :][::-1] for name in names]
    return f"{before}*{_shared_start(ends).rstrip('0123456789')[::-1]}"


def _shared_start(names: Sequence[str]) -> str:
    """The characters with which all names begin."""
    same = itertools.takewhile(lambda x: len(set(x)) == 1, zip(*names, strict=False))
    return "".join(each[0] for each in same)
