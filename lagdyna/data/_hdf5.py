import math
import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np

from ._check import checked
from ._data_error import DataError, one_line
from ._fields import FIELDS, check_kind, check_names
from ._limit import check_limit
from ._trajectory import Trajectory, TrajectorySet, pieces


def read_hdf5(path: Path, limit_bytes: int) -> list[Trajectory]:
    """The trajectories of an HDF5 file; its layout is described in the documentation."""
    h5py = _h5py(path)
    try:
        with h5py.File(path, "r") as file:
            recordings = _recordings(h5py, path, file)
            needed = 0
            for source, arrays in recordings:
                check_names(source, arrays)
                for name, dataset in arrays.items():
                    needed += 8 * _values(source, name, dataset)
            check_limit(str(path), needed, limit_bytes)
            read = [
                (source, {name: np.asarray(x[()]) for name, x in arrays.items()})
                for source, arrays in recordings
            ]
    except DataError:
        raise
    except Exception as error:
        # A truncated or damaged file makes h5py raise nearly anything.
        raise DataError(
            f"{path}: not a readable HDF5 file ({one_line(error)}); "
            "a whole one with a group for each trajectory is accepted"
        ) from error
    return [
        piece for source, arrays in read for piece in pieces(source, checked(source, arrays))
    ]


def write_hdf5(path: Path, trajectories: TrajectorySet) -> None:
    """Writes one group for each trajectory, with checksums, so that damage is noticed."""
    h5py = _h5py(path)
    # From this version of the format on the file's structure carries checksums too.
    with h5py.File(path, "x", libver=("v110", "v110")) as file:
        for i, trajectory in enumerate(trajectories):
            group = file.create_group(f"trajectory_{i:06d}")
            for name, x in trajectory.arrays.items():
                group.create_dataset(name, data=x, chunks=True, fletcher32=True)


def _h5py(path: Path) -> ModuleType:
    try:
        import h5py
    except ImportError as error:
        raise DataError(
            f"{path}: HDF5 needs h5py, which is not installed; "
            "`pip install 'lagdyna[hdf5]'`, or use .npz or .csv"
        ) from error
    return h5py


def _recordings(h5py, path: Path, file) -> list[tuple[str, dict]]:
    """Each trajectory's datasets, by name, with what an error calls it."""
    # Looked up one by one: iterating over the values hides those that cannot be opened.
    entries = {str(name): file[name] for name in file}
    groups = {name: x for name, x in entries.items() if isinstance(x, h5py.Group)}
    if len(groups) == 0:
        return [(str(path), _datasets(h5py, str(path), entries))]
    if len(groups) != len(entries):
        raise DataError(
            f"{path}: arrays {_listed(set(entries) - set(groups))} beside groups; either the "
            "arrays of one trajectory or a group for each of several are accepted"
        )
    recordings = []
    for name in sorted(groups, key=_natural):
        source = f"{path}: group {name!r}"
        group = groups[name]
        members = {str(member): group[member] for member in group}
        recordings.append((source, _datasets(h5py, source, members)))
    return recordings


def _datasets(h5py, source: str, members: Mapping) -> dict:
    for name, member in members.items():
        if not isinstance(member, h5py.Dataset):
            raise DataError(f"{source}: {name!r} is not an array; {', '.join(FIELDS)} are")
    return dict(members)


def _values(source: str, name: str, dataset) -> int:
    check_kind(source, name, dataset.dtype)
    if dataset.shape is None:
        raise DataError(f"{source}: array `{name}` is empty; at least two rows are needed")
    return math.prod(dataset.shape)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts `run_9` before `run_10`."""
    parts = re.split(r"([0-9]{1,18})", name)
    return [(1, int(p), "") if i % 2 else (0, 0, p) for i, p in enumerate(parts)]


def _listed(names: set[str]) -> str:
    return ", ".join(repr(name) for name in sorted(names))
