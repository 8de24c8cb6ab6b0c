import math
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..tables import field_of, stack_columns
from ._assemble import ReadOptions, assemble, named
from ._data_error import DataError, one_line
from ._episodes import are_episodes, read_episodes
from ._fields import FIELDS, check_dtype, check_names
from ._limit import check_limit
from ._trajectory import Trajectory, TrajectorySet

_EXTRA = ("lengths", "trajectory", "joints")  # beside the arrays of a trajectory


def read_npz(path: Path, options: ReadOptions) -> list[Trajectory]:
    """Read the trajectories of a `.npz` file. The user guide describes the layout."""
    try:
        with zipfile.ZipFile(path) as archive:
            arrays, joints = _read_arrays(str(path), archive, options)
    except DataError:
        raise
    except Exception as error:
        # On a damaged archive zipfile, zlib and NumPy may raise many types of exceptions.
        raise DataError(
            f"{path}: not a readable .npz archive ({one_line(error)}); "
            "one written by `numpy.savez` is accepted"
        ) from error
    lengths, labels = arrays.pop("lengths", None), arrays.pop("trajectory", None)
    if labels is not None and lengths is None:
        lengths = _lengths_of(path, labels)
    if are_episodes(arrays):
        found = read_episodes(str(path), arrays, lengths, options)
    elif lengths is None:
        found = assemble(str(path), arrays, options)
    else:
        counts = _validate_lengths(path, arrays, lengths)
        found = _split_by_lengths(path, arrays, counts, options)
    return named(found, joints, str(path))


def write_npz(path: Path, trajectories: TrajectorySet) -> None:
    """Write the concatenated arrays of all trajectories, their lengths, and their joints."""
    arrays = {
        name: np.concatenate([trajectory.arrays[name] for trajectory in trajectories])
        for name in trajectories.fields
    }
    arrays["lengths"] = np.array([trajectory.rows for trajectory in trajectories])
    if trajectories.joints is not None:
        arrays["joints"] = np.array(trajectories.joints)
    # Equivalent to `numpy.savez`, without the clash of its keyword arguments with array
    # names that some versions of NumPy have.
    with zipfile.ZipFile(path, "x") as archive:
        for name, x in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, x, allow_pickle=False)


def _read_arrays(
    source: str, archive: zipfile.ZipFile, options: ReadOptions
) -> tuple[dict[str, np.ndarray], Sequence[str] | None]:
    """Check names, types and sizes of all arrays from their headers, then read them.

    **Returns:** the arrays, and the names of the joints if there are any.
    """
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    if len(members) != len(archive.infolist()):
        raise DataError(f"{source}: two arrays have the same name; array names must be unique")
    names, joints = options.renamed(source, list(members))
    members = {ours: members[theirs] for ours, theirs in names.items()}
    check_names(source, dict.fromkeys(map(field_of, members)), _EXTRA)
    values = 0
    for name, info in members.items():
        shape, dtype = _read_header(archive, info)
        if name == "joints":
            _check_strings(source, shape, dtype)
        else:
            check_dtype(source, name, dtype)
        # Arrays are converted to float64, so count at least 8 bytes per value.
        values += math.prod(shape) * max(1, math.ceil(dtype.itemsize / 8))
    check_limit(source, 8 * values, options.limit_bytes)
    arrays = {}
    for name, info in members.items():
        with archive.open(info) as file:
            arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
            # Reading past the end triggers the comparison of the checksum.
            if file.read(1) != b"":
                raise DataError(f"{source}: array `{name}` has extra bytes after its end")
    stored = arrays.pop("joints", None)
    if stored is not None and options.keeps_joints():
        joints = stored.tolist()
    return stack_columns(source, arrays), joints


def _check_strings(source: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Raise `DataError` unless an array holds one name for each joint."""
    if dtype.kind != "U" or len(shape) != 1:
        raise DataError(
            f"{source}: array `joints` has shape {shape} and type {dtype}; strings are "
            "accepted, the name of each coordinate"
        )


def _read_header(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo
) -> tuple[tuple[int, ...], np.dtype]:
    """Read the shape and type of an array from its header."""
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        elif version == (2, 0):
            shape, _, dtype = np.lib.format.read_array_header_2_0(file)
        else:
            # NumPy uses version 3 only for records with non-Latin field names.
            raise ValueError(f"array format version was {version}; 1.0 and 2.0 are accepted")
    if min(shape, default=0) < 0:
        raise ValueError(f"an array has the invalid shape {shape}")
    return shape, dtype


def _lengths_of(path: Path, labels: np.ndarray) -> np.ndarray:
    """Count the rows of each trajectory, from the number of the trajectory in every row."""
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) == 0:
        raise DataError(
            f"{path}: array `trajectory` has shape {labels.shape} and type {labels.dtype}; a "
            "1-D array of integers is accepted, the number of the trajectory of each row"
        )
    edges = np.concatenate([[0], np.flatnonzero(np.diff(labels)) + 1, [len(labels)]])
    if len(np.unique(labels)) < len(edges) - 1:
        raise DataError(
            f"{path}: array `trajectory` returns to a number after another one; the rows of a "
            "trajectory must be contiguous"
        )
    return np.diff(edges)


def _validate_lengths(
    path: Path, arrays: dict[str, np.ndarray], lengths: np.ndarray
) -> Sequence[int]:
    """Check `lengths` against the arrays and return it as Python integers."""
    accepted = "`lengths` must be a 1-D array of integers, the rows of each trajectory"
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
                "a trajectory needs at least two rows"
            )
    for name in FIELDS:
        if name in arrays and arrays[name].shape[:1] != (sum(counts),):
            raise DataError(
                f"{path}: array `{name}` has shape {arrays[name].shape}, but `lengths` "
                f"adds up to {sum(counts)}; all arrays must have that many rows"
            )
    return counts


def _split_by_lengths(
    path: Path, arrays: dict[str, np.ndarray], counts: Sequence[int], options: ReadOptions
) -> list[Trajectory]:
    """Split concatenated arrays into trajectories of the given numbers of rows."""
    trajectories, first = [], 0
    for i, count in enumerate(counts):
        part = {name: x[first : first + count] for name, x in arrays.items()}
        source = f"{path}: trajectory {i}"
        # Error messages count rows from the start of the file's arrays.
        trajectories += assemble(
            source,
            part,
            options,
            lambda row, first=first: f"row {first + row}",
            several=False,
        )
        first += count
    return trajectories
