"""Differences between two configs."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import msgspec

from .._errors import UserError
from ._convert import table_of
from ._part import Part


def differences(before: Any, now: Any) -> list[str]:
    """List every option that differs between two configs, with both values."""
    old, new = (dict(_flat(table_of(config))) for config in (before, now))
    return [
        f"`{name}` was {old.get(name)!r} and is {new.get(name)!r}"
        for name in (*old, *(new.keys() - old.keys()))
        if old.get(name) != new.get(name)
    ]


def check_unchanged(run: str, before: Any, now: Any) -> None:
    """Refuse to continue a run with another config than it was begun with.

    **Raises:** `UserError` that names the differences.
    """
    found = differences(before, now)
    if found:
        raise UserError(
            f"{run!r} was begun with another config: {'; '.join(found)}. Restore the config to "
            "continue the run, or use a new directory for the other config"
        )


def with_newer_options(before: dict[str, Any], config: Any) -> dict[str, Any]:
    """Add the options that a stored table lacks, which are newer than it, with their defaults.

    **Arguments:** `before`, the table of a config; `config`, one of the same parts.
    """
    filled = dict(before)
    for name, default in _defaults(config).items():
        value = getattr(config, name)
        if isinstance(filled.get(name), dict):
            filled[name] = with_newer_options(filled[name], value)
        elif name not in filled and default is not None:
            filled[name] = table_of(default)
    return filled


def _defaults(config: Any) -> dict[str, Any]:
    """Collect the defaults of all options; `None` where there is none."""
    if isinstance(config, Part):
        fields = msgspec.structs.fields(config)
        return {x.name: None if x.default is msgspec.NODEFAULT else x.default for x in fields}
    if dataclasses.is_dataclass(config):
        fields = dataclasses.fields(config)
        return {x.name: None if x.default is dataclasses.MISSING else x.default for x in fields}
    return {}


def _flat(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the entries of nested tables and lists of tables by their dotted names."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{where}.{key}" if where else key)
    elif isinstance(value, list) and any(isinstance(x, dict) for x in value):
        for i, inner in enumerate(value):
            yield from _flat(inner, f"{where}[{i}]")
    else:
        yield where, value
