"""Conversion of tables to configs, with errors in the words of the options."""

import dataclasses
import difflib
import math
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeVar

import msgspec

from .._errors import UserError
from ._part import Family, Part, name_of

Kind = TypeVar("Kind")
Table = dict[str, Any]


def convert(table: Mapping[str, Any], kind: type[Kind], where: str = "") -> Kind:
    """Convert a table to a config class, strictly.

    **Arguments:**

    - `table`: plain values, lists and tables; parts may also be objects or names.
    - `kind`: a dataclass or a [`lagdyna.options.Part`][].
    - `where`: the option's path, for messages.

    **Raises:** `UserError` that names the option, what was given, and what is accepted.
    """
    if not isinstance(table, Mapping):
        raise UserError(f"`{where}` was {shown(table)}: expected a table of options")
    fields = _fields(kind)
    check_keys(table, fields, where, lambda key: _elsewhere(kind, key, table[key], where))
    values = {
        key: _converted(value, fields[key], f"{where}.{key}" if where else key)
        for key, value in table.items()
    }
    try:
        return kind(**values)
    except TypeError as error:
        missing = re.search(r"argument:? '(\w+)'", str(error))
        name = missing.group(1) if missing else str(error)
        inside = f"`{where}`: " if where else ""
        raise UserError(f"{inside}Object missing required field `{name}`") from None
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"`{where}`: {error}" if where else str(error)) from error


def part_of(value: Any, family: Family, where: str) -> Any:
    """Convert a name, a table with a `name`, or an object to a part of a family.

    **Returns:** an instance of the family's base.

    **Raises:** `UserError` as [`lagdyna.options.convert`][].
    """
    if isinstance(value, Part) or (isinstance(value, type) and issubclass(value, Part)):
        return _instance(family.check(value, None, where))
    if isinstance(value, str):
        return _instance(family.find(value, where))
    if not isinstance(value, Mapping):
        raise UserError(f"`{where}` was {shown(value)}: expected a name or a table of options")
    options = dict(value)
    name = options.pop("name", family.default)
    if not isinstance(name, str):
        raise UserError(f"`{where}.name` was {shown(name)}: expected a name")
    found = family.find(name, f"{where}.name")
    if isinstance(found, Part):  # an instance in the user's file: options change it
        changed = {**table_of(found), **options}
        changed.pop("name", None)
        return convert(changed, type(found), where) if options else found
    return convert(options, found, where)


def table_of(config: Any) -> Any:
    """Convert a config, or any value in one, to plain tables, lists and values."""
    if isinstance(config, Part):
        values = {name: getattr(config, name) for name in config.__struct_fields__}
        return {"name": config.name, **{key: table_of(each) for key, each in values.items()}}
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        fields = dataclasses.fields(config)
        return {each.name: table_of(getattr(config, each.name)) for each in fields}
    if isinstance(config, Mapping):
        return {key: table_of(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return [table_of(value) for value in config]
    return config


def nearest(given: str, accepted: Iterable[str], count: int = 1) -> list[str]:
    """Find the accepted names that are spelled most alike."""
    return difflib.get_close_matches(given, list(accepted), n=count, cutoff=0.5)


def check_keys(
    table: Mapping[str, Any],
    fields: Mapping[str, Any],
    where: str,
    elsewhere: Callable[[str], str | None],
) -> None:
    """Refuse keys that are no options.

    **Arguments:** `elsewhere`, of a key, says where it is an option, or gives `None`.
    """
    for key in table:
        if key in fields:
            continue
        path = f"{where}.{key}" if where else key
        found = elsewhere(key)
        if found is not None:
            raise UserError(found)
        near = nearest(str(key), fields, 3)
        hint = f"nearest: {', '.join(near)}; " if near else ""
        inside = f" in {where}" if where else ""
        raise UserError(f"`{path}` is not an option; {hint}all{inside}: {', '.join(fields)}")


def _elsewhere(kind: type, key: str, value: Any, where: str) -> str | None:
    """Name the variants of a family that have an option which one variant lacks."""
    if not (isinstance(kind, type) and issubclass(kind, Part)):
        return None
    family, name = kind.family, name_of(kind)
    having = family.having(key)
    if having:
        return f"`{where}.{key}` is no option of {name!r}; it is one of {_listed(having)}"
    if isinstance(value, Mapping):  # options that stood in a table of their own
        for inner in value:
            having = family.having(str(inner))
            if having:
                return (
                    f"`{where}.{key}.{inner}` is no option of {name!r}; `{where}.{inner}` is "
                    f"one of {_listed(having)}"
                )
    return None


def _listed(names: list[str]) -> str:
    return ", ".join(names)


def _instance(found: Any) -> Any:
    return found() if isinstance(found, type) else found


def _fields(kind: type) -> dict[str, Any]:
    hints = typing.get_type_hints(kind, include_extras=True)
    if isinstance(kind, type) and issubclass(kind, Part):
        return {name: hints[name] for name in kind.__struct_fields__}
    return {each.name: hints[each.name] for each in dataclasses.fields(kind)}


def _converted(value: Any, kind: Any, where: str) -> Any:
    base, optional = _without_none(kind)
    if value is None and optional:
        return None
    family = getattr(base, "family", None)
    if family is not None and base is family.base:
        return part_of(value, family, where)
    if dataclasses.is_dataclass(base) and isinstance(base, type):
        if isinstance(value, base):
            value = table_of(value)
        named = getattr(base, "named", None)
        if isinstance(value, str) and named is not None:
            try:
                return named(value)
            except ValueError as error:
                raise UserError(str(error)) from error
        if not isinstance(value, Mapping):
            raise UserError(f"`{where}` was {shown(value)}: expected a table of options")
        return convert(value, base, where)
    if typing.get_origin(base) is tuple and isinstance(value, list | tuple):
        inner = typing.get_args(base)
        if len(inner) == 2 and inner[1] is Ellipsis and dataclasses.is_dataclass(inner[0]):
            return tuple(
                _converted(each, inner[0], f"{where}[{i}]") for i, each in enumerate(value)
            )
    _check_finite(value, where)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise UserError(_explained(str(error), value, kind, where)) from error


def _without_none(kind: Any) -> tuple[Any, bool]:
    """Split `X | None` into `X` and whether `None` is accepted."""
    arguments = typing.get_args(kind)
    others = [each for each in arguments if each is not type(None)]
    if len(others) < len(arguments) and len(others) == 1:
        return others[0], True
    return kind, type(None) in arguments


def _check_finite(value: Any, where: str) -> None:
    """Refuse infinities and NaN, which TOML can write."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            _check_finite(entry, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for i, entry in enumerate(value):
            _check_finite(entry, f"{where}[{i}]")
    elif isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"`{where}` was {value}: expected a finite number")


def _explained(message: str, value: Any, kind: Any, where: str) -> str:
    """Rewrite a validation message of msgspec with the option's path and the given value."""
    reason, _, path = message.partition(" - at `$")
    path, given = path.rstrip("`"), value
    try:
        for part in re.findall(r"[^.\[\]]+", path):
            given = given[int(part)] if isinstance(given, list | tuple) else given[part]
    except (KeyError, IndexError, ValueError, TypeError):
        return f"`{where}{path}`: {reason}"
    accepted = _choices(kind)
    if accepted and isinstance(given, str):
        near = nearest(given, accepted)
        hint = f"nearest: {near[0]}; " if near else ""
        return f"`{where}{path}` was {shown(given)}; {hint}accepted: {', '.join(accepted)}"
    return f"`{where}{path}` was {shown(given)}: {reason[0].lower()}{reason[1:]}"


def _choices(kind: Any) -> list[str]:
    """Names that an option accepts, if it accepts only some."""
    base, _ = _without_none(kind)
    return [str(each) for each in typing.get_args(base)] if _is_literal(base) else []


def _is_literal(kind: Any) -> bool:
    return typing.get_origin(kind) is Literal


_SHOWN = 100  # characters of a value in a message


def shown(value: Any) -> str:
    """Format what was given for a message; a long value is cut."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
