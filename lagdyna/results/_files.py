"""Atomic files, and directories for results."""

import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .._bytes import check_depth, read_bytes
from .._errors import UserError

SEEDS_FILE = "seeds.json"  # in the directory of a run with several seeds


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Replace a file as a whole: write to a temporary path, which is renamed at the end.

    The old file stays if the block fails or is interrupted.

    **Arguments:** `path`, the file to replace.

    **Returns:** a context manager that gives a temporary path in the same directory.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        # Temporary files are private; results should have the usual permissions.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, which is replaced as a whole."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file, which is replaced as a whole."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_json_lines(path: Path, values: list[dict[str, Any]]) -> None:
    """Write a file of one JSON object per line, which is replaced as a whole.

    Numbers that are not finite become null, since JSON has no infinity and no NaN.
    """
    write_text(path, "".join(json.dumps(without_nonfinite(value)) + "\n" for value in values))


def without_nonfinite(value: Any) -> Any:
    """Replace every number that is not finite by `None`."""
    if isinstance(value, dict):
        return {name: without_nonfinite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_nonfinite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Path) -> Any:
    """Read a JSON file.

    **Raises:** `UserError` if it is missing, truncated or damaged, too large or too deep.
    """
    try:
        value = json.loads(read_bytes(path, _LIMIT_BYTES).decode("utf-8"))
        check_depth(value)
        return value
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{str(path)!r} is not whole: it is missing, cut off or damaged ({reason})"
        ) from error


_LIMIT_BYTES = 64 * 2**20


def new_directory(path: Path) -> Path:
    """Create a directory for results; an empty one is used as it is.

    **Raises:** `UserError` if it exists and is not empty, or cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        held = sorted(entry.name for entry in path.iterdir())
    except OSError as error:
        raise UserError(f"`out` was {str(path)!r}, which cannot be used: {error}") from error
    if held:
        run = {"run.json", "config.toml", SEEDS_FILE} & {*held}
        what = "already holds a run" if run else "is not empty"
        raise UserError(
            f"`out` was {str(path)!r}, which {what}; "
            "a new or an empty directory is accepted, and nothing was written"
        )
    return path


def numbered(path: Callable[[int], Path]) -> Path:
    """Find the first of `path(1)`, `path(2)`, ... that does not exist."""
    number = 1
    while path(number).exists():
        number += 1
    return path(number)
