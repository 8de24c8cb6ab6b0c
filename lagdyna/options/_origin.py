"""Files that a config names, found from any folder."""

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple


class Origin(NamedTuple):
    """Places of a run and of the process that began it.

    **Attributes:** `folder`, the working directory of then; `then`, the run's directory of
    then; `now`, the run's directory. All are absolute.
    """

    folder: Path
    then: Path
    now: Path


_origin: ContextVar[Origin | None] = ContextVar("origin", default=None)


@contextmanager
def begun_in(origin: Origin | None) -> Iterator[None]:
    """Create a context in which `located` finds the files of a run that was begun elsewhere."""
    token = _origin.set(origin)
    try:
        yield
    finally:
        _origin.reset(token)


def located(file: str) -> str:
    """Find a file, folder or pattern that a config names.

    Within `begun_in`, the place where it was when the run was begun comes first, then the same
    place relative to the run's directory, then the working directory.

    **Returns:** the first of these paths that exists; `file` itself if none does, or outside of
    `begun_in`.
    """
    origin = _origin.get()
    if origin is None:
        return file
    before = Path(os.path.normpath(origin.folder / file))
    candidates = [before]
    if before.anchor == origin.then.anchor:  # not on another drive of Windows
        relative = os.path.relpath(before, origin.then)
        candidates.append(Path(os.path.normpath(origin.now / relative)))
    for path in candidates:
        if path.exists() or glob.glob(str(path)):
            return str(path)
    return file


def kept_file(name: str) -> Path | None:
    """Find a file of the run's own directory; `None` outside of `begun_in` or without it."""
    origin = _origin.get()
    path = None if origin is None else origin.now / name
    return path if path is not None and path.is_file() else None
