"""What tells two configs apart."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from ._config import Config
from ._errors import UserError


def differences(before: Config, now: Config) -> list[str]:
    """Every option that differs, as `name: before, now: now`."""
    old, new = (dict(_flat(dataclasses.asdict(config))) for config in (before, now))
    return [
        f"`{name}` was {old.get(name)!r} and is {new.get(name)!r}"
        for name in (*old, *(new.keys() - old.keys()))
        if old.get(name) != new.get(name)
    ]


def check_unchanged(run: str, before: Config, now: Config) -> None:
    """Refuses to go on with a run under another config than it was begun with.

    **Raises:** `UserError` that names what differs.
    """
    found = differences(before, now)
    if found:
        raise UserError(
            f"{run!r} was begun with another config: {'; '.join(found)}. It can be gone on "
            "with as it was begun, or the other config be run in a new directory"
        )


def _flat(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """The entries of nested tables and lists of tables by their dotted names."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{where}.{key}" if where else key)
    elif isinstance(value, list | tuple) and any(isinstance(x, dict) for x in value):
        for i, inner in enumerate(value):
            yield from _flat(inner, f"{where}[{i}]")
    else:
        yield where, list(value) if isinstance(value, tuple) else value
