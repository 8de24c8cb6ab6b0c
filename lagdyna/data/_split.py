import itertools
import warnings
from typing import NamedTuple

import numpy as np

from ._data_error import DataError
from ._trajectory import TrajectorySet

_PIECES = 10


class SplitWarning(UserWarning):
    """Training and validation data come from one trajectory."""


class Split(NamedTuple):
    """Two sets that share no trajectory.

    **Attributes:** `training` and `validation`, each a [`lagdyna.data.TrajectorySet`][].
    """

    training: TrajectorySet
    validation: TrajectorySet


def split(trajectories: TrajectorySet, validation: float = 0.2, *, seed: int = 0) -> Split:
    """Sets trajectories aside for validation, the same ones whenever it is called so.

    Rows next to each other are nearly alike, so rows drawn at random would measure
    nothing: whole trajectories are drawn. A single one is cut in time into up to ten
    pieces of equal length, and a [`lagdyna.data.SplitWarning`][] says so: pieces of one
    motion are more alike than motions are.

    **Arguments:**

    - `trajectories`: what to divide.
    - `validation`: the fraction of trajectories for validation, between 0 and 1. Both sets
        get at least one.
    - `seed`: of the draw.

    **Returns:** a [`lagdyna.data.Split`][], each set in the order of the original.

    **Raises:** [`lagdyna.data.DataError`][] if `validation` is not between 0 and 1, or if
    a single trajectory has fewer than 4 rows.
    """
    if not 0 < validation < 1:
        raise DataError(f"`validation` was {validation}; a number between 0 and 1 is accepted")
    if len(trajectories) == 1:
        trajectories = _cut(trajectories)
        warnings.warn(
            f"there is one trajectory; it was cut in time into {len(trajectories)} pieces, "
            "and those were divided between training and validation",
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


def _cut(trajectories: TrajectorySet) -> TrajectorySet:
    """The pieces of a single trajectory, each of at least two rows."""
    trajectory = trajectories[0]
    count = min(_PIECES, trajectory.rows // 2)
    if count < 2:
        raise DataError(
            f"trajectory set: one trajectory of {trajectory.rows} rows cannot be divided; "
            "two trajectories or four rows are needed"
        )
    edges = np.linspace(0, trajectory.rows, count + 1).astype(int).tolist()
    return TrajectorySet([trajectory.between(a, b) for a, b in itertools.pairwise(edges)])
