"""Configs of training runs from tables and files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._errors import UserError
from ..options import Part, convert, read_table, table_of
from ._names import task_table
from ._train import Config

_DEFAULT_LOSS = "one-step"


def config_from_table(table: Mapping[str, Any]) -> Config:
    """Convert a table to the config of a training run; options left out keep their defaults.

    `task` may be the name of a known task instead of a table.

    **Raises:** `UserError` naming the option, what was given, and what is accepted.
    """
    table = dict(table)
    if isinstance(table.get("task"), str):
        table["task"] = task_table(table["task"])
    if isinstance(table.get("loss"), Mapping):  # options of a loss that was not named
        table["loss"] = {"name": _DEFAULT_LOSS, **table["loss"]}
    return convert(table, Config)


def check_config(config: Config) -> Config:
    """Check the values of a config against their types and bounds.

    **Raises:** `UserError` as [`lagdyna.config.config_from_table`][].
    """
    parts = {name: getattr(config, name) for name in ("model", "loss", "learner", "agent")}
    checked = {name: checked_part(part, name) for name, part in parts.items() if part}
    rest = {name: value for name, value in table_of(config).items() if name not in parts}
    return config_from_table({**rest, **checked})


def checked_part(part: Any, where: str) -> Any:
    """Check the options of a part against their types and bounds; its class is kept.

    **Raises:** `UserError` as [`lagdyna.options.convert`][].
    """
    options = {}
    for name in part.__struct_fields__:
        value = getattr(part, name)
        inner = isinstance(value, Part)
        options[name] = checked_part(value, f"{where}.{name}") if inner else table_of(value)
    return convert(options, type(part), where)


def load_config(path: str | Path) -> Config:
    """Read the config in a TOML file.

    **Raises:** `UserError` if it cannot be read or describes no config.
    """
    try:
        return config_from_table(read_table(Path(path)))
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
