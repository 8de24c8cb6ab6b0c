import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from ..mechanics import Coordinates
from ._csv import read_csv, write_csv
from ._data_error import DataError, one_line
from ._degrees import warn_if_degrees
from ._hdf5 import read_hdf5, write_hdf5
from ._limit import LIMIT_BYTES
from ._minari import ObservationLayout, read_minari
from ._npz import read_npz, write_npz
from ._trajectory import Trajectory, TrajectorySet


class _Format(NamedTuple):
    read: Callable[[Path, int], list[Trajectory]]
    write: Callable[[Path, TrajectorySet], None]


_FORMATS: Mapping[str, _Format] = MappingProxyType(
    {
        ".npz": _Format(read_npz, write_npz),
        ".csv": _Format(read_csv, write_csv),
        ".h5": _Format(read_hdf5, write_hdf5),
        ".hdf5": _Format(read_hdf5, write_hdf5),
    }
)


def read(
    path: str | os.PathLike[str],
    coordinates: Coordinates | None = None,
    *,
    layout: ObservationLayout | None = None,
    limit_bytes: int = LIMIT_BYTES,
) -> TrajectorySet:
    """The trajectories in a `.npz`, `.csv`, `.h5` or `.hdf5` file, or a Minari data set.

    Rows with nan are gaps, at which a trajectory is cut in two; see
    [`lagdyna.data.split_at_gaps`][].

    **Arguments:**

    - `path`: the file, whose suffix tells the format; or `minari:NAME`, see
        [`lagdyna.data.read_minari`][].
    - `coordinates`: if given, the file must have as many, and angles that look like
        degrees give a [`lagdyna.data.DegreesWarning`][].
    - `layout`: where the observations of a Minari data set keep `q` and `qd`; for it alone.
    - `limit_bytes`: the most memory that the arrays may take, 2 GiB by default. A larger
        file is refused before it is read, and so the limit is on the arrays alone: while
        they are taken apart they are in memory up to three times.

    **Returns:** a [`lagdyna.data.TrajectorySet`][].

    **Raises:** [`lagdyna.data.DataError`][] for whatever is wrong with the file, in one
    sentence that says where.
    """
    if isinstance(path, str) and path.startswith("minari:"):
        if layout is None:
            raise DataError(f"{path}: `layout` must say where observations keep q and qd")
        return read_minari(path, layout, coordinates, limit_bytes=limit_bytes)
    path = Path(path)
    form = _format_of(path)
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path}: empty; a file with at least `t` and `q` is accepted")
        trajectories = form.read(path, limit_bytes)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({one_line(error)})") from error
    try:
        found = TrajectorySet(trajectories)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    if coordinates is not None:
        if found.n != coordinates.n:
            raise DataError(
                f"{path}: array `q` has {found.n} columns where the system has "
                f"{coordinates.n} coordinates; one column for each is accepted"
            )
        warn_if_degrees(found, coordinates, str(path))
    return found


def write(
    path: str | os.PathLike[str], trajectories: TrajectorySet, *, overwrite: bool = False
) -> None:
    """Writes trajectories so that [`lagdyna.data.read`][] gives the same back, to the bit.

    The file appears whole or not at all.

    **Arguments:**

    - `path`: where to; its suffix, one of `.npz`, `.csv`, `.h5` and `.hdf5`, tells the
        format.
    - `trajectories`: what.
    - `overwrite`: whether a file that is there already may be replaced.

    **Raises:** [`lagdyna.data.DataError`][] if it may not, or if it cannot be written.
    """
    path = Path(path)
    form = _format_of(path)
    if path.exists() and not overwrite:
        raise DataError(f"{path}: exists already; pass `overwrite=True` to replace it")
    # Beside the file, since a move is atomic only within one file system.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        form.write(temporary, trajectories)
        os.replace(temporary, path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({one_line(error)})") from error
    finally:
        temporary.unlink(missing_ok=True)


def _format_of(path: Path) -> _Format:
    if path.suffix.lower() not in _FORMATS:
        raise DataError(
            f"{path}: unknown kind of file {path.suffix!r}; {', '.join(_FORMATS)} are accepted"
        )
    return _FORMATS[path.suffix.lower()]
