import os
import secrets
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np

from ..mechanics import Coordinates
from ..tables import (
    Source,
    epoch_unit,
    find_files,
    is_bag,
    is_minari,
    shifted_note,
    since_start,
)
from ._angles import check_coordinate_count
from ._assemble import ReadOptions, ReadWarning
from ._csv import read_csv, write_csv
from ._data_error import DataError, one_line
from ._degrees import warn_if_degrees
from ._hdf5 import read_hdf5, write_hdf5
from ._limit import LIMIT_BYTES, check_limit
from ._minari import ObservationLayout, read_minari
from ._npz import read_npz, write_npz
from ._ros import read_ros
from ._trajectory import Trajectory, TrajectorySet, difference


class _Format(NamedTuple):
    """Reader of one file format, and its writer if there is one."""

    read: Callable[[Path, ReadOptions], list[Trajectory]]
    write: Callable[[Path, TrajectorySet], None] | None = None


_FORMATS: Mapping[str, _Format] = MappingProxyType(
    {
        ".npz": _Format(read_npz, write_npz),
        ".csv": _Format(read_csv, write_csv),
        ".h5": _Format(read_hdf5, write_hdf5),
        ".hdf5": _Format(read_hdf5, write_hdf5),
        ".db3": _Format(read_ros),
        ".mcap": _Format(read_ros),
        ".bag": _Format(read_ros),
    }
)
_WRITTEN = [suffix for suffix, each in _FORMATS.items() if each.write is not None]


def read(
    path: Source | Sequence[Source],
    coordinates: Coordinates | Callable[[int], Coordinates] | None = None,
    *,
    layout: ObservationLayout | None = None,
    columns: Mapping[str, str] | None = None,
    merge: Literal["interpolate"] | None = None,
    duplicates: Literal["drop"] | None = None,
    topic: str | None = None,
    limit_bytes: int = LIMIT_BYTES,
) -> TrajectorySet:
    """Read trajectories from `.npz`, `.csv` and HDF5 files, recordings of ROS, or Minari.

    Rows with NaN are gaps. The reader splits trajectories at gaps; see
    [`lagdyna.data.split_at_gaps`][]. Where `t` returns to its start, or falls back by more
    than five steps, a new trajectory begins and a [`lagdyna.data.ReadWarning`][] says so.

    **Arguments:**

    - `path`: a file, whose suffix determines the format; a folder, for the files in it; a
        pattern such as `logs/*.csv`; or several of these. Files are read in the natural order
        of their names. Pass `minari:NAME` for a Minari data set; see
        [`lagdyna.data.read_minari`][].
    - `coordinates`: which coordinates are angles, or a function that returns this for a number
        of coordinates. The files must have the same number of coordinates. Angles that appear
        to be in degrees raise a [`lagdyna.data.DegreesWarning`][].
    - `layout`: indices of `q` and `qd` in the observations of a Minari data set. Required
        for Minari, ignored for files.
    - `columns`: names in the files, by lagdyna's names, such as `{"q0": "shoulder_pos"}`, or
        patterns, such as `{"q": "pos_*"}`; of arrays for `.npz` and HDF5. Columns that are
        neither named here nor lagdyna's are then not read. The `*` of a pattern stands for a
        number or for the name of a joint, which the trajectories keep.
    - `merge`: `"interpolate"` if columns were recorded at different times, with NaN in the
        other rows. They are interpolated at the times of the positions: actions keep their
        last value, other columns are linear between their neighbours, `coordinates` that are
        angles along the shorter way round the circle.
    - `duplicates`: `"drop"` to keep only the first of rows with the same time.
    - `topic`: topic of the joint states in recordings of ROS, if several have any.
    - `limit_bytes`: maximum memory of the arrays in bytes, 2 GiB by default. Larger files
        are rejected before they are read. Splitting needs up to three copies of the arrays,
        which the limit does not count.

    **Returns:** a [`lagdyna.data.TrajectorySet`][].

    **Raises:** [`lagdyna.data.DataError`][] if a file cannot be read or its contents are
    invalid, or if the files have different arrays. The message names the location of the
    error.
    """
    known = None
    if isinstance(coordinates, Coordinates):
        known = partial(_checked, coordinates)
    elif coordinates is not None:
        known = coordinates
    options = ReadOptions(limit_bytes, columns or {}, merge, duplicates, known, topic)
    options.check()
    names = find_files(path, tuple(_FORMATS))
    if topic is not None and not any(is_bag(Path(name)) for name in names):
        raise DataError(
            f"`topic` was {topic!r}, and {names[0]} is no recording of ROS; leave it out"
        )
    sets, used = [], 0
    for name in names:
        if is_minari(name):
            found = _read_minari(name, layout, options)
        else:
            found = _read_file(Path(name), options)
        if sets and (told := difference(sets[0], found)) is not None:
            raise DataError(
                f"{name} has {told[1]}, and {names[0]} has {told[0]}; files of one system "
                "must have the same arrays and columns"
            )
        found = _with_joints_of(sets[0] if sets else found, found, name, names[0])
        used += sum(x.nbytes for each in found for x in each.arrays.values())
        check_limit(f"{names[0]} and {len(sets)} further files", used, limit_bytes)
        sets.append(found)
    if coordinates is not None:
        shown = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} others"
        known = coordinates(sets[0].n) if callable(coordinates) else coordinates
        for name, found in zip(names, sets, strict=True):
            if found.n != known.n:
                raise DataError(
                    f"{name}: array `q` has {found.n} columns, but the system has "
                    f"{known.n} coordinates; one column per coordinate is accepted"
                )
        warn_if_degrees(TrajectorySet([x for each in sets for x in each]), known, shown)
    return TrajectorySet([trajectory for each in sets for trajectory in each])


def _with_joints_of(
    first: TrajectorySet, found: TrajectorySet, name: str, first_name: str
) -> TrajectorySet:
    """Bring the coordinates of a file into the order of the joints of the first file."""
    joints, others = first.joints, found.joints
    if joints is None or others is None or others == joints:
        return found
    if set(others) != set(joints):
        raise DataError(
            f"{name} has the joints {', '.join(others)}, and {first_name} has "
            f"{', '.join(joints)}; files of one system must have the same joints"
        )
    warnings.warn(
        f"{name}: coordinates were brought into the order of the joints in {first_name}",
        ReadWarning,
        stacklevel=3,
    )
    return TrajectorySet([each.of_joints(joints) for each in found])


def _checked(coordinates: Coordinates, n: int) -> Coordinates:
    check_coordinate_count(n, coordinates)
    return coordinates


def _read_minari(
    name: str, layout: ObservationLayout | None, options: ReadOptions
) -> TrajectorySet:
    """Read a Minari data set."""
    if layout is None:
        raise DataError(
            f"{name}: `layout` is missing; pass an `ObservationLayout` with the indices "
            "of q and qd in the observation"
        )
    return read_minari(name, layout, limit_bytes=options.limit_bytes)


def _read_file(path: Path, options: ReadOptions) -> TrajectorySet:
    """Read one file."""
    file_format = _get_format(path)
    try:
        if path.stat().st_size == 0 and not path.is_dir():
            raise DataError(f"{path}: empty; a file with at least `t` and `q` is accepted")
        trajectories = file_format.read(path, options)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({one_line(error)})") from error
    try:
        return TrajectorySet(_begun_at_zero(path, trajectories))
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _begun_at_zero(path: Path, trajectories: list[Trajectory]) -> list[Trajectory]:
    """Shift times that count since 1970, so that the first one is 0 s."""
    times = np.concatenate([each.t for each in trajectories])
    found = epoch_unit(times)
    if found is None:
        return trajectories
    unit, seconds = found
    start = float(times.min())
    warnings.warn(f"{path}: {shifted_note(unit, start * seconds)}", ReadWarning, stacklevel=4)
    return [
        each.replaced({**each.arrays, "t": since_start(each.t, start, seconds)})
        for each in trajectories
    ]


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
    write = _get_format(path).write
    if write is None:
        raise DataError(
            f"{path}: recordings of ROS are read, not written; {', '.join(_WRITTEN)} are "
            "accepted"
        )
    if path.exists() and not overwrite:
        raise DataError(f"{path}: already exists; pass `overwrite=True` to replace it")
    # Use the same directory, since a rename is atomic only within one file system.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        write(temporary, trajectories)
        os.replace(temporary, path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({one_line(error)})") from error
    finally:
        temporary.unlink(missing_ok=True)


def _get_format(path: Path) -> _Format:
    """Look up the format by the suffix of `path`; a directory is a bag of ROS 2."""
    if path.is_dir() and is_bag(path):
        return _FORMATS[".db3"]
    if path.suffix.lower() not in _FORMATS:
        raise DataError(
            f"{path}: unknown file suffix {path.suffix!r}; {', '.join(_FORMATS)} are accepted"
        )
    return _FORMATS[path.suffix.lower()]
