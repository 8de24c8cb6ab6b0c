"""Lines of metrics: files of one JSON object per line."""

import json
from pathlib import Path
from typing import Any

from .._bytes import check_depth, read_bytes
from .._errors import UserError
from ._seal import checked, digest_of_lines

_LIMIT_BYTES = 2**30


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Read a file of one JSON object per line, up to the first line that is truncated.

    **Returns:** the objects; none if there is no such file.

    **Raises:** `UserError` if it cannot be read or is too large.
    """
    try:
        text = read_bytes(path, _LIMIT_BYTES).decode("utf-8", errors="replace")
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{str(path)!r} cannot be read: {reason}") from error
    values = []
    for line in text.split("\n"):
        try:
            value = json.loads(line)
            check_depth(value)
        except (ValueError, RecursionError):
            break
        if not isinstance(value, dict):
            break
        values.append(value)
    return values


def read_first_lines(
    path: Path, count: int, digest: str, schema: type[Any]
) -> list[dict[str, Any]]:
    """Read the first lines of a file of one JSON object per line.

    **Arguments:** `count`, `digest`, the number of lines that a checkpoint refers to and their
    checksum; `schema`, a `msgspec.Struct` of the keys that each line needs.

    **Raises:** `UserError` if the file has fewer, or others than were written.
    """
    values = read_json_lines(path)
    if not 0 <= count <= len(values):
        raise UserError(
            f"{str(path)!r} has {len(values)} complete lines, and the checkpoint refers to "
            f"{count}; the file is truncated or damaged"
        )
    if digest_of_lines(values[:count]) != digest:
        raise UserError(
            f"{str(path)!r} is damaged: its first {count} lines are not those that were "
            "written with the checkpoint (their checksum differs)"
        )
    for value in values[:count]:
        checked(path, value, schema)
    return values[:count]


def read_metrics(path: Path, schema: type[Any]) -> list[dict[str, Any]]:
    """Read all lines of the metrics of a finished run.

    **Raises:** `UserError` if the file is missing, or a line is not whole.
    """
    if not path.is_file():
        raise UserError(f"{str(path)!r} is missing: the run is not whole")
    values = read_json_lines(path)
    for value in values:
        checked(path, value, schema)
    return values
