"""Writing files so that an interruption leaves the old one or the new one, never a part."""

import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ._errors import UserError

SEEDS_FILE = "seeds.json"  # beside the directories of the seeds of one run


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes its place when the block succeeds."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        # A temporary file is private; what it becomes should be as readable as any other.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replaces a text file as a whole."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Replaces a JSON file as a whole."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_json_lines(path: Path, values: list[dict[str, Any]]) -> None:
    """Replaces a file of one JSON object per line as a whole.

    JSON knows no infinity: what is not finite becomes null.
    """
    write_text(path, "".join(json.dumps(_finite(value)) + "\n" for value in values))


def _finite(value: Any) -> Any:
    """The same, with `None` for every number in it that is not finite."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Path) -> Any:
    """What is in a JSON file.

    **Raises:** `UserError` if it is missing, cut off or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{str(path)!r} is not whole: it is missing, cut off or damaged ({error})"
        ) from error


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The objects in a file of one JSON object per line; a cut-off last line is left out."""
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
    """The first `count` objects of such a file, those that a checkpoint vouches for.

    **Raises:** `UserError` if it has fewer.
    """
    values = read_json_lines(path)
    if len(values) < count:
        raise UserError(
            f"{str(path)!r} has {len(values)} whole lines, and the checkpoint knows of {count}"
        )
    return values[:count]


def new_directory(path: Path) -> Path:
    """Makes a directory for results, or takes an empty one.

    **Raises:** `UserError` if it exists and holds anything, or cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        held = sorted(entry.name for entry in path.iterdir())
    except OSError as error:
        raise UserError(f"`out` was {str(path)!r}, which cannot be used: {error}") from error
    if held:
        run = {"config.toml", SEEDS_FILE} & {*held}
        what = "already holds a run" if run else "is not empty"
        raise UserError(
            f"`out` was {str(path)!r}, which {what}; "
            "a new or an empty directory is accepted, and nothing was written"
        )
    return path


def numbered(path: Callable[[int], Path]) -> Path:
    """The first of `path(1)`, `path(2)`, ... that does not exist."""
    number = 1
    while path(number).exists():
        number += 1
    return path(number)
