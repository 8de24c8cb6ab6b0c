"""Columns of a file by the names of other programs, and the joints that they belong to."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from .._errors import DataError

_WIDE = ("q", "qd", "qdd", "tau", "action")
_OF_JOINTS = ("q", "qd", "qdd", "tau")
_SINGLE = ("t", "trajectory", "lengths")
_NUMBERED = re.compile(r"(q|qd|qdd|tau|action)(?:0|[1-9][0-9]{0,5})")


class Columns(NamedTuple):
    """Columns of a file that `columns` names.

    **Attributes:**

    - `names`: the file's name of each, by lagdyna's name; those of a pattern are numbered.
    - `joints`: names of the joints that the pattern of `q` found; `None` if it found numbers,
        or without a pattern.
    """

    names: dict[str, str]
    joints: tuple[str, ...] | None


class _Match(NamedTuple):
    """Columns that a pattern found, and what its `*` stands for in each."""

    pattern: str
    names: list[str]
    labels: list[str]

    @property
    def numbered(self) -> bool:
        return all(label.isdecimal() for label in self.labels)


def expand_columns(
    source: str, columns: Mapping[str, str], found: Sequence[str], what: str = "column"
) -> Columns:
    """Find the columns that names and patterns stand for.

    The `*` of a pattern stands for a number or, if no column has one there, for the name of a
    joint. Columns are taken in the order of the numbers (`pos_2` before `pos_10`), those of
    joints in the order of the file for `q`, and in the order of `q` for all others.

    **Arguments:**

    - `source`: name of the file in error messages.
    - `columns`: the file's name of a column, or a pattern, by lagdyna's name: `q0` for one
        column, `q` for a pattern.
    - `found`: names of all columns of the file.
    - `what`: the word for a column in messages.

    **Raises:** [`lagdyna.data.DataError`][] for names and patterns that find nothing, and
    patterns that find different joints.
    """
    names: dict[str, str] = {}
    matches: dict[str, _Match] = {}
    for ours, theirs in columns.items():
        _check_key(source, ours, theirs)
        if "*" in theirs and theirs not in found:
            matches[ours] = _match(source, ours, theirs, found, what)
        elif theirs in found:
            names[ours] = theirs
        else:
            raise DataError(
                f"{source}: `columns` names {theirs!r} for {ours}, and there is no such "
                f"{what}; {_nearest(theirs, found)}found {_listed(found)}"
            )
    joints = _order(source, matches)
    for ours, match in matches.items():
        names.update({f"{ours}{i}": name for i, name in enumerate(match.names)})
    _check_once(source, names, what)
    return Columns(names, joints)


def stack_columns(source: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Join arrays named `q0`, `q1`, ... along a new last axis to one array `q`.

    **Raises:** [`lagdyna.data.DataError`][] for gaps in the numbering, and for other shapes.
    """
    stacked: dict[str, np.ndarray] = {}
    numbered: dict[str, dict[int, np.ndarray]] = {}
    for name, x in arrays.items():
        field = field_of(name)
        if field == name:
            stacked[name] = x
        else:
            flat = x[:, 0] if x.ndim == 2 and x.shape[1] == 1 else x
            numbered.setdefault(field, {})[int(name.removeprefix(field))] = flat
    for field, parts in numbered.items():
        if field in stacked or sorted(parts) != list(range(len(parts))):
            given = ", ".join(f"{field}{i}" for i in sorted(parts))
            raise DataError(
                f"{source}: `columns` names {given}; numbers from 0 without gaps, or {field} "
                "alone are accepted"
            )
        shapes = {x.shape for x in parts.values()}
        if len(shapes) > 1:
            raise DataError(
                f"{source}: the arrays of {field} have shapes "
                f"{', '.join(map(str, sorted(shapes)))}; one shape is accepted"
            )
        stacked[field] = np.stack([parts[i] for i in sorted(parts)], axis=-1)
    return stacked


def field_of(name: str) -> str:
    """The array that a column belongs to: `q` for `q0`; other names are returned as given."""
    match = _NUMBERED.fullmatch(name)
    return name if match is None else match[1]


def _check_key(source: str, ours: str, theirs: str) -> None:
    wide, numbered = ours in _WIDE, _NUMBERED.fullmatch(ours) is not None
    if not (wide or numbered or ours in _SINGLE):
        near = difflib.get_close_matches(ours, (*_WIDE, *_SINGLE), n=1)
        hint = f"; nearest: {near[0]}" if near else ""
        raise DataError(
            f"{source}: `columns` names {theirs!r} for {ours!r}{hint}; t, trajectory, "
            f"{', '.join(_WIDE)}, or one of a number, as q0, are accepted"
        )
    if "*" in theirs and (not wide or theirs.count("*") > 1):
        field = field_of(ours) if numbered else "q"
        raise DataError(
            f"{source}: `columns` has {ours}={theirs}; a pattern with one * is accepted, for "
            f"all columns of an array, as {field}=pos_*"
        )


def _match(source: str, ours: str, pattern: str, found: Sequence[str], what: str) -> _Match:
    """Find the columns of a pattern."""
    before, after = map(re.escape, pattern.split("*"))
    compiled = re.compile(f"{before}(.+){after}")
    pairs = [
        (match[1], name)
        for name in dict.fromkeys(found)
        if (match := compiled.fullmatch(name)) is not None
    ]
    if not pairs:
        raise DataError(
            f"{source}: no {what} matches {pattern!r}, which `columns` gives for {ours}; "
            f"{_nearest(pattern.replace('*', ''), found, 3)}found {_listed(found)}"
        )
    numbers = [pair for pair in pairs if re.fullmatch("[0-9]{1,6}", pair[0])]
    pairs = sorted(numbers, key=lambda pair: int(pair[0])) or pairs
    return _Match(pattern, [name for _, name in pairs], [label for label, _ in pairs])


def _order(source: str, matches: dict[str, _Match]) -> tuple[str, ...] | None:
    """Bring all arrays into the order of the joints of `q`, in place, and name the joints."""
    q = matches.get("q")
    if q is None:
        return None
    for ours in (name for name in matches if name in _OF_JOINTS and name != "q"):
        match = matches[ours]
        if match.numbered and q.numbered and len(match.names) == len(q.names):
            continue
        if set(match.labels) != set(q.labels):
            raise DataError(
                f"{source}: q={q.pattern} finds {_listed(q.labels)} and {ours}={match.pattern} "
                f"finds {_listed(match.labels)}; patterns that find the same joints are "
                f"accepted, and single columns, as {ours}0=NAME"
            )
        of_joint = dict(zip(match.labels, match.names, strict=True))
        names = [of_joint[label] for label in q.labels]
        matches[ours] = _Match(match.pattern, names, q.labels)
    return None if q.numbered else tuple(q.labels)


def _check_once(source: str, names: Mapping[str, str], what: str) -> None:
    """Refuse a column that stands for two of lagdyna's."""
    before: dict[str, str] = {}
    for ours, theirs in names.items():
        if theirs in before:
            raise DataError(
                f"{source}: `columns` takes the {what} {theirs!r} for {before[theirs]} and for "
                f"{ours}; each {what} is accepted once"
            )
        before[theirs] = ours


def _nearest(name: str, found: Sequence[str], count: int = 1) -> str:
    near = difflib.get_close_matches(name, found, n=count, cutoff=0.6 if count == 1 else 0.3)
    return f"nearest: {_listed(near)}; " if near else ""


def _listed(names: Sequence[str]) -> str:
    shown = [repr(name) for name in names[:20]]
    return ", ".join(shown) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
