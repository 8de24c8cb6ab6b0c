import warnings
from pathlib import Path

import numpy as np

from ..tables import expand_columns, read_joint_states, stack_columns
from ._assemble import ReadOptions, ReadWarning, assemble, named
from ._limit import check_limit
from ._trajectory import Trajectory

_COLUMNS = {"q": "position_*", "qd": "velocity_*", "tau": "effort_*"}


def read_ros(path: Path, options: ReadOptions) -> list[Trajectory]:
    """Read the trajectories of joint states in a recording of ROS.

    The user guide says what becomes of its messages.
    """
    source = str(path)
    states = read_joint_states(
        path, options.topic, lambda size: check_limit(source, size, options.limit_bytes)
    )
    for note in states.notes:
        warnings.warn(note, ReadWarning, stacklevel=4)
    found = list(states.columns)
    usual = {
        ours: pattern
        for ours, pattern in _COLUMNS.items()
        if any(name.startswith(pattern[:-1]) for name in found)
    }
    columns = {"t": "stamp", **(options.columns or usual)}
    names = expand_columns(source, columns, found).names
    arrays = stack_columns(source, {ours: states.columns[name] for ours, name in names.items()})
    known = [
        ~np.isnan(x).reshape(len(x), -1).all(axis=1)
        for name, x in arrays.items()
        if name != "t"
    ]
    if known:  # leave out messages of other joints than those that are read
        own = np.any(known, axis=0)
        arrays = {name: x[own] for name, x in arrays.items()}
    trajectories = assemble(source, arrays, options, "message {}".format)
    joints = None
    if states.joints is not None:
        n = trajectories[0].n
        joints = [names.get(f"q{i}", names.get("q", "")) for i in range(n)]
        joints = [name.removeprefix("position_") for name in joints]
    return named(trajectories, joints, source)
