"""Atomic files, and directories for results."""

import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
    write_text(path, "".join(json.dumps(_finite(value)) + "\n" for value in values))


def _finite(value: Any) -> Any:
    """Replace every number that is not finite by `None`."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Path) -> Any:
    """Read a JSON file.

    **Raises:** `UserError` if it is missing, truncated or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{str(path)!r} is not whole: it is missing, cut off or damaged ({error})"
        ) from error


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Read a file of one JSON object per line, up to the first line that is truncated.

    **Returns:** the objects; none if there is no such file.
    """
    if not path.exists():
        return []
    values = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            values.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return values


def read_first_lines(path: Path, count: int) -> list[dict[str, Any]]:
    """Read the first lines of a file of one JSON object per line.

    **Arguments:** `count`, the number of lines that a checkpoint refers to.

    **Raises:** `UserError` if the file has fewer.
    """
    values = read_json_lines(path)
    if len(values) < count:
        raise UserError(
            f"{str(path)!r} has {len(values)} complete lines, and the checkpoint refers to "
            f"{count}; the file is truncated or damaged"
        )
    return values[:count]


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
