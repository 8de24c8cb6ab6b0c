"""Options that a sweep searches: choices and ranges."""

import copy
import itertools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from .._errors import UserError
from ..config import override
from ..options import convert


class Choices(NamedTuple):
    """Option that takes one of several values.

    **Attributes:** `values`, of any kind; a table sets several options.
    """

    values: tuple[Any, ...]

    @property
    def examples(self) -> tuple[Any, ...]:
        """Values to check before a sweep begins."""
        return self.values

    @property
    def labels(self) -> list[str | int | float | bool]:
        """Names of the values in a study, whose choices are numbers or texts."""
        plain = (str, int, float, bool)
        return [x if isinstance(x, plain) else json.dumps(x) for x in self.values]


@dataclass(frozen=True, kw_only=True)
class Range:
    """Option that takes any number between two.

    **Arguments:** `low`, `high`, both included; `log`, whether the scale is logarithmic;
    `integer`, whether numbers are whole.
    """

    low: float
    high: float
    log: bool = False
    integer: bool = False

    @property
    def examples(self) -> tuple[float | int, ...]:
        """Values to check before a sweep begins."""
        ends = (self.low, self.high)
        return tuple(int(x) for x in ends) if self.integer else ends


Dimension = Choices | Range


def flattened(space: Mapping[str, Any]) -> dict[str, Any]:
    """Write nested tables of options as options with dotted names.

    **Raises:** `UserError` if an option is given twice.
    """
    found: dict[str, Any] = {}
    for name, value in _flat(space, ""):
        if name in found:
            raise UserError(f"`space.{name}` was given twice; once is accepted")
        found[name] = value
    return found


def _flat(table: Mapping[str, Any], where: str) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        name = f"{where}.{key}" if where else key
        # A range is a table too. Other tables come from names that TOML splits at dots.
        if isinstance(value, Mapping) and not {"low", "high"} & value.keys():
            yield from _flat(value, name)
        else:
            yield name, value


def dimensions_of(space: Mapping[str, Any]) -> dict[str, Dimension]:
    """Convert a table of options to choices and ranges.

    **Raises:** `UserError` that names the option, what was given, and what is accepted.
    """
    if not space:
        raise UserError(
            "`space` was empty; an option with its choices is accepted, as "
            "agent.horizon = [8, 16]"
        )
    return {name: _dimension(f"space.{name}", value) for name, value in space.items()}


def _dimension(where: str, value: Any) -> Dimension:
    if isinstance(value, list | tuple):
        _check_plain(where, [*value])
        labels = Choices(tuple(value)).labels
        if not value or len(set(labels)) < len(labels):
            what = "empty" if not value else f"{[*value]!r}, which has a value twice"
            raise UserError(f"`{where}` was {what}; a list of different values is accepted")
        return Choices(tuple(value))
    if not isinstance(value, Mapping):
        raise UserError(
            f"`{where}` was {value!r}; a list of choices, as [8, 16], or a range, as "
            "{low = 1e-4, high = 1e-2}, is accepted"
        )
    found = convert(value, Range, where)
    if not found.low < found.high:
        raise UserError(
            f"`{where}` was from {found.low:g} to {found.high:g}; a `high` above `low` is "
            "accepted"
        )
    if found.log and not found.low > 0:
        raise UserError(
            f"`{where}.low` was {found.low:g} on a logarithmic scale; a number above 0 is "
            "accepted"
        )
    if found.integer and not all(float(x).is_integer() for x in (found.low, found.high)):
        raise UserError(
            f"`{where}` was from {found.low:g} to {found.high:g} with `integer`; whole numbers "
            "are accepted"
        )
    return found


def _check_plain(where: str, value: Any) -> None:
    """Refuse dates and times, which TOML has and no option takes.

    **Raises:** `UserError` that names the option.
    """
    if isinstance(value, Mapping):
        value = [*value.values()]
    if isinstance(value, list | tuple):
        for each in value:
            _check_plain(where, each)
    elif not isinstance(value, str | int | float | bool | None):
        raise UserError(
            f"`{where}` had the choice {str(value)!r}, a {type(value).__name__}; numbers, "
            "texts, booleans, lists and tables are accepted"
        )


def grid_size(dimensions: Mapping[str, Dimension]) -> int:
    """Count the points of a grid.

    **Raises:** `UserError` if an option has a range.
    """
    return math.prod(len(each) for each in _choices(dimensions).values())


def grid_point(dimensions: Mapping[str, Dimension], number: int) -> dict[str, Any]:
    """Find a point of a grid by its number; the last option changes fastest.

    **Raises:** `UserError` if an option has a range.
    """
    choices = _choices(dimensions)
    points = itertools.product(*choices.values())
    point = next(itertools.islice(points, number, None))
    return dict(zip(choices, point, strict=True))


def _choices(dimensions: Mapping[str, Dimension]) -> dict[str, tuple[Any, ...]]:
    found: dict[str, tuple[Any, ...]] = {}
    for name, each in dimensions.items():
        if isinstance(each, Range):
            raise UserError(
                f"`space.{name}` was a range with the sampler 'grid'; a list of choices is "
                "accepted, or another sampler, such as random"
            )
        found[name] = each.values
    return found


def with_options(table: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Set options of a config's table, as `--set` does; the table itself stays.

    **Arguments:** `options`, by their dotted names. A table sets the options in it.

    **Raises:** `UserError` as [`lagdyna.config.override`][].
    """
    changed = copy.deepcopy(dict(table))
    for name, value in options.items():
        if isinstance(value, Mapping):
            for key, inner in value.items():
                override(changed, f"{name}.{key}", inner)
        else:
            override(changed, name, value)
    return changed
