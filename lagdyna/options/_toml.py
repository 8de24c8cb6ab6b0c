"""Configs as TOML files, and overrides from the command line."""

import tomllib
from pathlib import Path
from typing import Any

import tomli_w

from .._bytes import check_depth, read_bytes
from .._errors import UserError
from ._convert import Table, table_of


def read_table(path: Path) -> Table:
    """Read the table in a TOML file.

    **Raises:** `UserError` if there is no such file or it is not TOML.
    """
    try:
        text = _content(path).decode("utf-8")
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error)
        reason = " ".join(said.split())
        raise UserError(
            f"`config` was {str(path)!r}, which cannot be read: {reason}"
        ) from error
    try:
        # As in a text file, since TOML has no other ends of lines.
        table = tomllib.loads(text.replace("\r\n", "\n").replace("\r", "\n"))
        check_depth(table)
        return table
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"`config` {str(path)!r} is not TOML: {reason}") from error


def _content(path: Path) -> bytes:
    """Read a file; of a pipe from the shell, as in `--config <(...)`, all that it gives."""
    if path.parts[:2] != ("/", "dev"):
        return read_bytes(path, _LIMIT_BYTES)
    with path.open("rb") as file:
        content = file.read(_LIMIT_BYTES + 1)
    if len(content) > _LIMIT_BYTES:
        raise ValueError(f"it has more than {_LIMIT_BYTES} bytes")
    return content


_LIMIT_BYTES = 2**20


def parse_value(text: str) -> Any:
    """Parse a value from the command line: TOML where it is valid, else a string."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
        check_depth(value)
        return value
    except (ValueError, RecursionError):
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
