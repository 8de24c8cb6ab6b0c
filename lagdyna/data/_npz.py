import math
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ._check import checked
from ._data_error import DataError, one_line
from ._fields import FIELDS, check_kind, check_names
from ._limit import check_limit
from ._trajectory import Trajectory, TrajectorySet, pieces


def read_npz(path: Path, limit_bytes: int) -> list[Trajectory]:
    """The trajectories of a `.npz` file; its layout is described in the documentation."""
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = _arrays(str(path), archive, limit_bytes)
    except DataError:
        raise
    except Exception as error:
        # A damaged archive makes zipfile, zlib and NumPy raise nearly anything.
        raise DataError(
            f"{path}: not a readable .npz archive ({one_line(error)}); "
            "one written by `numpy.savez` is accepted"
        ) from error
    check_names(str(path), arrays, ("lengths",))
    lengths = arrays.pop("lengths", None)
    if lengths is None:
        return pieces(str(path), checked(str(path), arrays))
    return _separate(path, arrays, _checked_lengths(path, arrays, lengths))


def write_npz(path: Path, trajectories: TrajectorySet) -> None:
    """Writes the arrays of all trajectories one after the other, and their lengths."""
    arrays = {
        name: np.concatenate([trajectory.arrays[name] for trajectory in trajectories])
        for name in trajectories.fields
    }
    arrays["lengths"] = np.array([trajectory.rows for trajectory in trajectories])
    # What `numpy.savez` does; its keyword arguments cannot be told from arrays in all versions.
    with zipfile.ZipFile(path, "x") as archive:
        for name, x in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, x, allow_pickle=False)


def _arrays(source: str, archive: zipfile.ZipFile, limit_bytes: int) -> dict[str, np.ndarray]:
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    if len(members) != len(archive.infolist()):
        raise DataError(f"{source}: two arrays have one name; each may be there once")
    check_names(source, members, ("lengths",))
    values = 0
    for name, info in members.items():
        shape, dtype = _header(archive, info)
        check_kind(source, name, dtype)
        # Larger of the two, since all are turned into float64.
        values += math.prod(shape) * max(1, math.ceil(dtype.itemsize / 8))
    check_limit(source, 8 * values, limit_bytes)
    arrays = {}
    for name, info in members.items():
        with archive.open(info) as file:
            arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
            # The checksum is compared only when the end has been read.
            if file.read(1) != b"":
                raise DataError(f"{source}: array `{name}` goes on after its end")
    return arrays


def _header(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo
) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of an array, without reading it."""
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        elif version == (2, 0):
            shape, _, dtype = np.lib.format.read_array_header_2_0(file)
        else:
            # Version 3 is for records with non-Latin names, which hold no trajectory.
            raise ValueError(f"array format {version} is not one of plain numbers")
    if min(shape, default=0) < 0:
        raise ValueError(f"an array has the shape {shape}")
    return shape, dtype


def _checked_lengths(
    path: Path, arrays: dict[str, np.ndarray], lengths: np.ndarray
) -> Sequence[int]:
    accepted = "`lengths` is a 1-D array of integers, the rows of each trajectory"
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or lengths.size == 0:
        raise DataError(
            f"{path}: array `lengths` has shape {lengths.shape} and type {lengths.dtype}; "
            + accepted
        )
    counts = [int(length) for length in lengths]
    for i, count in enumerate(counts):
        if count < 2:
            raise DataError(
                f"{path}: array `lengths`, row {i}: found {count}; "
                "a trajectory has at least two rows"
            )
    for name in FIELDS:
        if name in arrays and arrays[name].shape[:1] != (sum(counts),):
            raise DataError(
                f"{path}: array `{name}` has shape {arrays[name].shape} where `lengths` "
                f"adds up to {sum(counts)}; all arrays have that many rows"
            )
    return counts


def _separate(
    path: Path, arrays: dict[str, np.ndarray], counts: Sequence[int]
) -> list[Trajectory]:
    found, first = [], 0
    for i, count in enumerate(counts):
        one = {name: x[first : first + count] for name, x in arrays.items()}
        source = f"{path}: trajectory {i}"
        # Rows are counted as in the file's arrays, where a user will look for them.
        values = checked(source, one, lambda row, first=first: f"row {first + row}")
        found += pieces(source, values)
        first += count
    return found
