"""Steps of encoders and of rounded numbers in recorded positions."""

import numpy as np
from jaxtyping import Float64

from ._trajectory import TrajectorySet

_MIN_LEVELS = 3  # distinct values that a grid needs beyond the first
_TOLERANCE = 0.1  # of a step; accepted distance from a multiple


def quantisation_steps(trajectories: TrajectorySet) -> Float64[np.ndarray, " n"]:
    """Find the steps of the grids on which the positions lie.

    An encoder, and a file with few digits, give multiples of a step. The function sorts the
    distinct values of each trajectory. It reports the smallest distance between two of them
    if nearly all other distances are multiples of it. The multiples must differ, or values
    must repeat: a motion of constant speed is no grid.

    **Arguments:**

    - `trajectories`: trajectories with any arrays.

    **Returns:** steps in metres or radians, shape `(n,)`; zero for a coordinate without one.
    """
    columns = range(trajectories.n)
    return np.array([_step([x.q[:, i] for x in trajectories]) for i in columns], np.float64)


def _step(series: list[np.ndarray]) -> float:
    """Find the step of one coordinate, or return 0."""
    size = max(float(np.abs(x).max()) for x in series)
    distances = np.concatenate([np.diff(np.unique(x)) for x in series])
    distances = distances[distances > 1e-9 * size]  # drop rounding errors
    if len(distances) < _MIN_LEVELS:
        return 0.0
    smallest = float(distances.min())
    multiples = np.round(distances / smallest)
    step = float(np.median(distances / multiples))
    if np.mean(np.abs(distances / step - multiples) < _TOLERANCE) < 0.95:
        return 0.0
    moves = np.concatenate([np.abs(np.diff(x)) for x in series])
    return step if len(np.unique(np.round(moves / step))) > 1 else 0.0
