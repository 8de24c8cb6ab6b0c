"""Atomic files, and directories for results."""

import errno
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .._bytes import check_depth, read_bytes
from .._errors import UserError

SEEDS_FILE = "seeds.json"  # in the directory of a run with several seeds
LOCK_FILE = "run.lock"  # in the directory of a run while a process writes to it
_TEMPORARY = ".lagdyna-"  # prefix of files that are being written


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Replace a file as a whole: write to a temporary path, which is renamed at the end.

    The old file stays if the block fails or is interrupted.

    **Arguments:** `path`, the file to replace.

    **Returns:** a context manager that gives a temporary path in the same directory.

    **Raises:** `UserError` if the file cannot be written, for lack of space for example.
    """
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=_TEMPORARY, suffix=path.suffix)
        temporary = Path(name)
        os.close(handle)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        # Temporary files are private; results should have the usual permissions.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


class CannotWrite(UserError):
    """A file or a directory cannot be written, as on a full disk."""


def cannot_write(path: Path, error: OSError) -> CannotWrite:
    """Create the error of a file or directory that cannot be written."""
    what = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        what += "; free some space"
    return CannotWrite(
        f"{str(path)!r} cannot be written: {what}. Everything written before it is whole"
    )


def make_directory(path: Path) -> Path:
    """Create a directory inside of a run's, unless it exists.

    **Raises:** `UserError` if it cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
    return path


def remove_temporaries(run: Path) -> None:
    """Remove files that a process left half written when it was killed.

    Evaluations of a run are left alone, since another process may be writing one.
    """
    for path in sorted(run.rglob(f"{_TEMPORARY}*")):
        if not any(part.startswith("evaluation-") for part in path.relative_to(run).parts):
            with suppress(OSError):
                path.unlink()


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
        check_empty(path)
    except OSError as error:
        raise UserError(f"`out` was {str(path)!r}, which cannot be used: {error}") from error
    return path


def check_empty(path: Path) -> None:
    """Refuse a directory that holds anything besides a lock and remains of a killed process.

    **Raises:** `UserError` if that is so.
    """
    names = {entry.name for entry in path.iterdir()} - {LOCK_FILE}
    held = {name for name in names if not name.startswith(_TEMPORARY)}
    if held:
        run = {"run.json", "config.toml", SEEDS_FILE} & held
        what = "already holds a run" if run else "is not empty"
        raise UserError(
            f"`out` was {str(path)!r}, which {what}; "
            "a new or an empty directory is accepted, and nothing was written"
        )


def numbered(path: Callable[[int], Path]) -> Path:
    """Find the first of `path(1)`, `path(2)`, ... that does not exist."""
    number = 1
    while path(number).exists():
        number += 1
    return path(number)


def make_numbered(path: Callable[[int], Path]) -> Path:
    """Create the first of the directories `path(1)`, `path(2)`, ... that does not exist.

    Processes that do so at the same time get directories of their own.

    **Raises:** `UserError` if it cannot be created.
    """
    while True:
        found = numbered(path)
        try:
            found.parent.mkdir(parents=True, exist_ok=True)
            found.mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise cannot_write(found, error) from error
        return found


@contextmanager
def reserved(out: Path | None, path: Callable[[int], Path]) -> Iterator[Path]:
    """Reserve a directory for results.

    **Arguments:** `out`, if one was given; `path`, as for `make_numbered`, otherwise.

    **Returns:** a context manager that gives the directory, and at its end removes one that it
    has created if nothing was written there.
    """
    if out is not None:
        yield out
        return
    is_new = not path(1).parent.exists()
    found = make_numbered(path)
    try:
        yield found
    finally:
        with suppress(OSError):  # it is not empty
            found.rmdir()
            if is_new:
                found.parent.rmdir()
