import itertools
import warnings
from typing import NamedTuple

import numpy as np

from ._data_error import DataError
from ._trajectory import TrajectorySet

_MAX_PIECES = 10


class SplitWarning(UserWarning):
    """Warning that training and validation data come from one trajectory."""


class Split(NamedTuple):
    """Training and validation sets without common trajectories.

    **Attributes:**

    - `training`: a [`lagdyna.data.TrajectorySet`][].
    - `validation`: a [`lagdyna.data.TrajectorySet`][].
    """

    training: TrajectorySet
    validation: TrajectorySet


def split(trajectories: TrajectorySet, validation: float = 0.2, *, seed: int = 0) -> Split:
    """Split trajectories randomly into training and validation sets.

    The function draws whole trajectories. Neighbouring rows are nearly equal, so a split
    by rows would not measure generalisation. A single trajectory is cut in time into up to
    ten pieces of equal length, with a [`lagdyna.data.SplitWarning`][]: pieces of one motion
    resemble each other more than separate motions do.

    **Arguments:**

    - `trajectories`: the trajectories to split.
    - `validation`: fraction of trajectories for validation, between 0 and 1. Each set gets
        at least one trajectory.
    - `seed`: random seed. The same seed gives the same split.

    **Returns:** a [`lagdyna.data.Split`][]. Each set keeps the original order.

    **Raises:** [`lagdyna.data.DataError`][] if `validation` is not between 0 and 1, or if
    a single trajectory has fewer than 4 rows.
    """
    if not 0 < validation < 1:
        raise DataError(f"`validation` was {validation}; a number between 0 and 1 is accepted")
    if len(trajectories) == 1:
        trajectories = _cut_in_time(trajectories)
        warnings.warn(
            f"the only trajectory was cut in time into {len(trajectories)} pieces, which were "
            "split between training and validation",
            SplitWarning,
            stacklevel=2,
        )
    count = len(trajectories)
    held_out = min(max(round(validation * count), 1), count - 1)
    drawn = np.random.default_rng(seed).permutation(count)[:held_out].tolist()
    return Split(
        TrajectorySet([x for i, x in enumerate(trajectories) if i not in drawn]),
        TrajectorySet([x for i, x in enumerate(trajectories) if i in drawn]),
    )


def _cut_in_time(trajectories: TrajectorySet) -> TrajectorySet:
    """Cut a single trajectory into pieces of at least two rows each."""
    trajectory = trajectories[0]
    count = min(_MAX_PIECES, trajectory.rows // 2)
    if count < 2:
        raise DataError(
            f"trajectory set: one trajectory of {trajectory.rows} rows cannot be split; "
            "at least two trajectories or four rows are needed"
        )
    edges = np.linspace(0, trajectory.rows, count + 1).astype(int).tolist()
    return TrajectorySet([trajectory.between(a, b) for a, b in itertools.pairwise(edges)])
