"""Reading of files that anybody may have written: regular files, up to a size."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_DEPTH = 32  # of nested tables and lists; lagdyna itself writes fewer than ten


@contextmanager
def regular_file(path: Path, limit: int) -> Iterator[IO[bytes]]:
    """Open a regular file that is no larger than `limit` bytes, for reading.

    A pipe or a device, which may never end, is refused without waiting for it.

    **Raises:** `OSError` if it cannot be opened; `ValueError` if it is something else, or too
    large.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no regular file")
        if status.st_size > limit:
            raise ValueError(f"it has {status.st_size} bytes, and at most {limit} are read")
        with open(handle, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(handle)


def read_bytes(path: Path, limit: int) -> bytes:
    """Read a whole regular file of at most `limit` bytes.

    **Raises:** `OSError` or `ValueError` as `regular_file`.
    """
    with regular_file(path, limit) as file:
        content = file.read(limit + 1)
    if len(content) > limit:  # it grew
        raise ValueError(f"it has more than {limit} bytes, and at most {limit} are read")
    return content


def check_depth(value: Any) -> None:
    """Refuse tables and lists that are nested more deeply than any that lagdyna writes.

    **Raises:** `ValueError` if they are.
    """
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(_DEPTH):
        if not level:
            return
        inner = (each.values() if isinstance(each, dict) else each for each in level)
        level = [x for each in inner for x in each if isinstance(x, dict | list)]
    raise ValueError(f"its tables and lists are more than {_DEPTH} deep")
