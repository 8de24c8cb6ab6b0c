"""Names of recordings: files, folders, and patterns."""

import glob
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from .._errors import DataError
from ._joint_states import is_bag

Source = str | os.PathLike[str]
"""Name of recordings: a file, a folder, a quoted pattern, or `minari:NAME`."""


def find_files(given: Source | Sequence[Source], suffixes: Sequence[str]) -> list[str]:
    """List the files that a name, or several names, stand for.

    **Arguments:**

    - `given`: files, folders, patterns such as `logs/*.csv`, and `minari:NAME`. A folder
        stands for the files in it with a known suffix, and for the bags of ROS 2 in it, but
        one with `metadata.yaml` is such a bag itself.
    - `suffixes`: the suffixes of the known formats.

    **Returns:** the names, each once, in natural order (`run_9` before `run_10`).

    **Raises:** [`lagdyna.data.DataError`][] if a folder or a pattern has no such file.
    """
    names = [given] if isinstance(given, str | os.PathLike) else list(given)
    if not names:
        raise DataError("no file was given; at least one is needed")
    found: dict[str, str] = {}
    for name in names:
        for each in _expanded(os.fspath(name), suffixes):
            found.setdefault(each if is_minari(each) else os.path.realpath(each), each)
    return sorted(found.values(), key=natural_sort_key)


def is_minari(name: Source) -> bool:
    """Whether a name is that of a Minari data set."""
    return isinstance(name, str) and name.startswith("minari:")


def natural_sort_key(name: str) -> list[tuple[int, int, str]]:
    """Compute a sort key that places `run_9` before `run_10`."""
    parts = re.split(r"([0-9]{1,18})", name)
    return [(1, int(p), "") if i % 2 else (0, 0, p) for i, p in enumerate(parts)]


def _expanded(name: str, suffixes: Sequence[str]) -> Iterator[str]:
    """Iterate over the files that one name stands for."""
    accepted = ", ".join(suffixes)
    if is_minari(name) or os.path.isfile(name) or is_bag(Path(name)):
        yield name
    elif os.path.isdir(name):
        inside = (each for each in Path(name).iterdir() if not each.name.startswith("."))
        files = [str(x) for x in inside if _is_recording(x, suffixes)]
        if not files:
            raise DataError(f"{name}: a folder without recordings; {accepted} are accepted")
        yield from files
    elif glob.has_magic(name):
        found = glob.glob(name, recursive=True)
        files = [each for each in found if os.path.isfile(each) or is_bag(Path(each))]
        if not files:
            raise DataError(f"{name}: no file has such a name; {accepted} are accepted")
        yield from files
    else:
        yield name  # the reader says that there is no such file


def _is_recording(path: Path, suffixes: Sequence[str]) -> bool:
    known = path.suffix.lower() in suffixes and path.is_file()
    return known or (path.is_dir() and is_bag(path))
