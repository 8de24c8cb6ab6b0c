"""Configs as TOML files, and overrides from the command line."""

import tomllib
from pathlib import Path
from typing import Any

import tomli_w

from .._errors import UserError
from ._convert import Table, table_of


def read_table(path: Path) -> Table:
    """Read the table in a TOML file.

    **Raises:** `UserError` if there is no such file or it is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"`config` was {str(path)!r}, which cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"`config` {str(path)!r} is not TOML: {error}") from error


def parse_value(text: str) -> Any:
    """Parse a value from the command line: TOML where it is valid, else a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def config_to_toml(config: Any) -> str:
    """Write a whole config as TOML, defaults included; reading it gives the config back.

    **Arguments:** `config`, a [`lagdyna.config.Config`][] or a
    [`lagdyna.config.FitConfig`][].
    """
    return tomli_w.dumps(_without_none(table_of(config)))


def _without_none(value: Any) -> Any:
    """Remove entries that are `None`: TOML has no null, and `None` is always a default."""
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_none(v) for v in value]
    return value
