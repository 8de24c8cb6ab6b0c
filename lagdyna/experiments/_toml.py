"""A config as TOML: strict reading, complete writing, overrides from the command line."""

import dataclasses
import difflib
import math
import re
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import tomli_w

from ..tasks import get_task
from ._config import Config
from ._errors import UserError

Table = dict[str, Any]
Kind = TypeVar("Kind")


def read_table(path: Path) -> Table:
    """The table in a TOML file.

    **Raises:** `UserError` if there is no such file or it is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"`config` was {str(path)!r}, which cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"`config` {str(path)!r} is not TOML: {error}") from error


def override(table: Table, key: str, value: Any) -> None:
    """Sets a dotted key, in place; the name of a part, such as `solver`, sets its `name`.

    A key within `task` changes the description of the task that the table names.

    **Raises:** `UserError` if the key goes through something that is not a table, or the table
    names no known task.
    """
    *path, last = key.split(".")
    if path[:1] == ["task"] and isinstance(table.get("task", _TASK), str):
        table["task"] = _described(table.get("task", _TASK))
    if not path and last in _PARTS:
        path, last = [last], "name"
    for part in path:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise UserError(f"`{key}` was given, but `{part}` is not a table of options")
    table[last] = value


def parse_value(text: str) -> Any:
    """A value from the command line: as TOML where it is that, else a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def config_from_table(table: Mapping[str, Any]) -> Config:
    """The config that a table describes; what it does not name has its default.

    `task` may be the name of a known task instead of a table.

    **Raises:** `UserError` naming the key, what was given, and what is accepted.
    """
    table = dict(table)
    if isinstance(table.get("task"), str):
        table["task"] = _described(table["task"])
    return convert(table, Config)


def _described(task: str) -> Table:
    """The table of a known task."""
    try:
        return dataclasses.asdict(get_task(task))
    except ValueError as error:
        raise UserError(str(error)) from error


def convert(table: Mapping[str, Any], kind: type[Kind]) -> Kind:
    """The config of some kind that a table describes.

    **Raises:** `UserError` as [`lagdyna.experiments.config_from_table`][].
    """
    _check_keys(table, kind, "")
    _check_finite(table, "")
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise UserError(_explained(str(error), table, kind)) from error


def check_config(config: Config) -> Config:
    """The same config, its values checked against their types and bounds.

    **Raises:** `UserError` as [`lagdyna.experiments.config_from_table`][].
    """
    return config_from_table(dataclasses.asdict(config))


def load_config(path: str | Path) -> Config:
    """The config in a TOML file.

    **Raises:** `UserError` if it cannot be read or describes no config.
    """
    try:
        return config_from_table(read_table(Path(path)))
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def config_to_toml(config: Any) -> str:
    """The whole config as TOML, defaults included; reading it gives the config back.

    **Arguments:** `config`, a [`lagdyna.experiments.Config`][] or a
    [`lagdyna.experiments.FitConfig`][].
    """
    return tomli_w.dumps(_without_none(dataclasses.asdict(config)))


_TASK = "Pendulum-v1"  # what is meant where no task is named
_PARTS = ("model", "solver", "learner", "agent", "loss")


def _without_none(value: Any) -> Any:
    # TOML has no null; what is left out has its default, and `None` only ever is one.
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [_without_none(v) for v in value]
    return value


def _check_keys(table: Any, kind: Any, where: str) -> None:
    """Refuses keys that `kind` does not have, anywhere in the table."""
    if typing.get_origin(kind) is tuple and isinstance(table, list | tuple):
        for i, entry in enumerate(table):
            _check_keys(entry, typing.get_args(kind)[0], f"{where[:-1]}[{i}].")
    if not dataclasses.is_dataclass(kind) or not isinstance(table, dict):
        return
    kinds = typing.get_type_hints(kind)
    for key, value in table.items():
        if key not in kinds:
            near = difflib.get_close_matches(key, kinds, n=3, cutoff=0.5)
            hint = f"nearest: {', '.join(near)}; " if near else ""
            raise UserError(
                f"`{where}{key}` is not an option; {hint}"
                f"all{' in ' + where[:-1] if where else ''}: {', '.join(kinds)}"
            )
        _check_keys(value, kinds[key], f"{where}{key}.")


def _check_finite(value: Any, where: str) -> None:
    """Refuses infinities and NaN, which TOML can write, anywhere in the table."""
    if isinstance(value, dict):
        for key, entry in value.items():
            _check_finite(entry, f"{where}.{key}" if where else key)
    elif isinstance(value, list | tuple):
        for i, entry in enumerate(value):
            _check_finite(entry, f"{where}[{i}]")
    elif isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"`{where}` was {value}: expected a finite number")


def _explained(message: str, table: Any, kind: type) -> str:
    """A validation message, with the value that was given and the key in our notation."""
    reason, _, path = message.partition(" - at `$")
    path = path.rstrip("`").lstrip(".")
    given = table
    try:
        for part in re.findall(r"[^.\[\]]+", path):
            given = given[int(part)] if isinstance(given, list | tuple) else given[part]
    except (KeyError, IndexError, ValueError, TypeError):
        return f"`{path}`: {reason}"
    if reason.startswith(f"`{path}`"):
        return reason
    if isinstance(given, dict):
        return f"`{path}`: {reason}" if path else reason
    accepted = _choices(re.findall(r"[^.\[\]]+", path), kind)
    if accepted:
        near = difflib.get_close_matches(str(given), accepted, n=1, cutoff=0.5)
        hint = f"nearest: {near[0]}; " if near else ""
        hint = _MEANT.get((path, str(given)), hint)
        return f"`{path}` was {given!r}; {hint}accepted: {', '.join(accepted)}"
    return f"`{path}` was {given!r}: {reason[0].lower()}{reason[1:]}"


# What people write for something that has another name.
_MEANT = {
    ("model.name", "none"): "an agent without a model is dyna with `agent.dyna.ratio` 0; ",
}


def _choices(path: list[str], kind: Any) -> list[str]:
    """The names that an option accepts, if it accepts only some."""
    for part in path:
        if typing.get_origin(kind) is tuple:
            kind = typing.get_args(kind)[0]
        elif dataclasses.is_dataclass(kind):
            kind = typing.get_type_hints(kind)[part]
    return list(typing.get_args(kind)) if typing.get_origin(kind) is Literal else []
