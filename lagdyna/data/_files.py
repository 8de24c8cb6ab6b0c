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
    """Reader and writer of one file format."""

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
    """Read trajectories from a `.npz`, `.csv`, `.h5` or `.hdf5` file, or from Minari.

    Rows with NaN are gaps. The reader splits trajectories at gaps; see
    [`lagdyna.data.split_at_gaps`][].

    **Arguments:**

    - `path`: path of the file; its suffix determines the format. Pass `minari:NAME` for a
        Minari data set; see [`lagdyna.data.read_minari`][].
    - `coordinates`: which coordinates are angles. If given, the file must have the same
        number of coordinates. Angles that appear to be in degrees raise a
        [`lagdyna.data.DegreesWarning`][].
    - `layout`: indices of `q` and `qd` in the observations of a Minari data set. Required
        for Minari, ignored for files.
    - `limit_bytes`: maximum memory of the arrays in bytes, 2 GiB by default. Larger files
        are rejected before they are read. Splitting needs up to three copies of the arrays,
        which the limit does not count.

    **Returns:** a [`lagdyna.data.TrajectorySet`][].

    **Raises:** [`lagdyna.data.DataError`][] if the file cannot be read or its contents are
    invalid. The message names the location of the error.
    """
    if isinstance(path, str) and path.startswith("minari:"):
        if layout is None:
            raise DataError(
                f"{path}: `layout` is missing; pass an `ObservationLayout` with the indices "
                "of q and qd in the observation"
            )
        return read_minari(path, layout, coordinates, limit_bytes=limit_bytes)
    path = Path(path)
    file_format = _get_format(path)
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path}: empty; a file with at least `t` and `q` is accepted")
        trajectories = file_format.read(path, limit_bytes)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({one_line(error)})") from error
    try:
        found = TrajectorySet(trajectories)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    if coordinates is not None:
        if found.n != coordinates.n:
            raise DataError(
                f"{path}: array `q` has {found.n} columns, but the system has "
                f"{coordinates.n} coordinates; one column per coordinate is accepted"
            )
        warn_if_degrees(found, coordinates, str(path))
    return found


def write(
    path: str | os.PathLike[str], trajectories: TrajectorySet, *, overwrite: bool = False
) -> None:
    """Write trajectories to a file.

    [`lagdyna.data.read`][] returns bit-identical arrays. The write is atomic: on failure no
    partial file remains.

    **Arguments:**

    - `path`: path of the file. Its suffix, one of `.npz`, `.csv`, `.h5` and `.hdf5`,
        determines the format.
    - `trajectories`: the trajectories to write.
    - `overwrite`: whether to replace an existing file.

    **Raises:** [`lagdyna.data.DataError`][] if the file exists and `overwrite` is false, or
    if it cannot be written.
    """
    path = Path(path)
    file_format = _get_format(path)
    if path.exists() and not overwrite:
        raise DataError(f"{path}: already exists; pass `overwrite=True` to replace it")
    # Use the same directory, since a rename is atomic only within one file system.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        file_format.write(temporary, trajectories)
        os.replace(temporary, path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({one_line(error)})") from error
    finally:
        temporary.unlink(missing_ok=True)


def _get_format(path: Path) -> _Format:
    """Look up the format by the suffix of `path`."""
    if path.suffix.lower() not in _FORMATS:
        raise DataError(
            f"{path}: unknown file suffix {path.suffix!r}; {', '.join(_FORMATS)} are accepted"
        )
    return _FORMATS[path.suffix.lower()]
