import math
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np

from ..tables import field_of, natural_sort_key, stack_columns
from ._assemble import ReadOptions, assemble, named
from ._data_error import DataError, one_line
from ._episodes import are_episodes, read_episodes
from ._fields import FIELDS, check_dtype, check_names
from ._limit import check_limit
from ._trajectory import Trajectory, TrajectorySet


def read_hdf5(path: Path, options: ReadOptions) -> list[Trajectory]:
    """Read the trajectories of an HDF5 file. The user guide describes the layout."""
    h5py = _import_h5py(path)
    try:
        with h5py.File(path, "r") as file:
            stored = file.attrs.get("joints")
            joints = list(stored) if stored is not None and options.keeps_joints() else None
            recordings = []
            for source, arrays in _list_recordings(h5py, path, file):
                names = options.renamed(source, list(arrays))
                joints = joints or names.joints
                members = {ours: arrays[name] for ours, name in names.names.items()}
                recordings.append((source, members))
            needed = 0
            for source, arrays in recordings:
                extra = ("lengths",) if source == str(path) else ()
                check_names(source, dict.fromkeys(map(field_of, arrays)), extra)
                for name, dataset in arrays.items():
                    needed += 8 * _count_values(source, name, dataset)
            check_limit(str(path), needed, options.limit_bytes)
            read = [
                (source, {name: np.asarray(x[()]) for name, x in arrays.items()})
                for source, arrays in recordings
            ]
    except DataError:
        raise
    except Exception as error:
        # On a truncated or damaged file h5py may raise many types of exceptions.
        raise DataError(
            f"{path}: not a readable HDF5 file ({one_line(error)}); "
            "a complete file with one group per trajectory is accepted"
        ) from error
    trajectories = []
    for source, arrays in read:
        arrays = stack_columns(source, arrays)
        lengths = arrays.pop("lengths", None)
        if are_episodes(arrays):
            trajectories += read_episodes(source, arrays, lengths, options)
        elif lengths is not None:
            raise DataError(
                f"{path}: array `lengths` beside arrays without episodes; shapes (episodes, "
                "time, columns), or one group per trajectory are accepted"
            )
        else:
            trajectories += assemble(source, arrays, options, several=source == str(path))
    return named(trajectories, joints, str(path))


def write_hdf5(path: Path, trajectories: TrajectorySet) -> None:
    """Write one group per trajectory, with checksums that detect damage."""
    h5py = _import_h5py(path)
    # This format version also adds checksums to the metadata.
    with h5py.File(path, "x", libver=("v110", "v110")) as file:
        if trajectories.joints is not None:
            file.attrs["joints"] = list(trajectories.joints)
        for i, trajectory in enumerate(trajectories):
            group = file.create_group(f"trajectory_{i:06d}")
            for name, x in trajectory.arrays.items():
                group.create_dataset(name, data=x, chunks=True, fletcher32=True)


def _import_h5py(path: Path) -> ModuleType:
    """Import h5py, or raise `DataError` if it is not installed."""
    try:
        import h5py
    except ImportError as error:
        raise DataError(
            f"{path}: HDF5 needs h5py, which is not installed; "
            "run `pip install 'lagdyna[hdf5]'`, or use .npz or .csv"
        ) from error
    return h5py


def _list_recordings(h5py, path: Path, file) -> list[tuple[str, dict]]:
    """List each trajectory's name in error messages and its datasets by array name."""
    # Look up each name, since iterating over the values skips those that cannot be opened.
    entries = {str(name): file[name] for name in file}
    groups = {name: x for name, x in entries.items() if isinstance(x, h5py.Group)}
    if len(groups) == 0:
        return [(str(path), _check_datasets(h5py, str(path), entries))]
    if len(groups) != len(entries):
        raise DataError(
            f"{path}: arrays {_quote_names(set(entries) - set(groups))} beside groups; "
            "either the arrays of one trajectory or one group per trajectory are accepted"
        )
    recordings = []
    for name in sorted(groups, key=natural_sort_key):
        source = f"{path}: group {name!r}"
        group = groups[name]
        members = {str(member): group[member] for member in group}
        recordings.append((source, _check_datasets(h5py, source, members)))
    return recordings


def _check_datasets(h5py, source: str, members: Mapping) -> dict:
    """Check that all members of a group are arrays and return them by name."""
    for name, member in members.items():
        if not isinstance(member, h5py.Dataset):
            raise DataError(
                f"{source}: {name!r} is not an array; arrays named {', '.join(FIELDS)} "
                "are accepted"
            )
    return dict(members)


def _count_values(source: str, name: str, dataset) -> int:
    """Check the type of a dataset and count its values, without reading them."""
    check_dtype(source, name, dataset.dtype)
    if dataset.shape is None:
        raise DataError(f"{source}: array `{name}` is empty; at least two rows are needed")
    return math.prod(dataset.shape)


def _quote_names(names: set[str]) -> str:
    """List names in quotes, sorted."""
    return ", ".join(repr(name) for name in sorted(names))
