import math

import numpy as np
import scipy

from ..mechanics import Coordinates
from ._angles import check_count, unwrapped
from ._data_error import DataError
from ._limit import LIMIT_BYTES, check_limit
from ._trajectory import Trajectory, TrajectorySet


def resample(
    trajectories: TrajectorySet,
    coordinates: Coordinates,
    dt: float,
    *,
    limit_bytes: int = LIMIT_BYTES,
) -> TrajectorySet:
    """The same motions at equal steps of `dt`, from each one's first time on.

    Positions follow the cubic that has the recorded positions and velocities, and so do
    velocities, unless accelerations were recorded too: then the cubic of velocities and
    accelerations. `qdd` and `tau` are interpolated linearly. An action that changes
    within a new step is averaged over it, which keeps its impulse but is exact only where
    the new times are among the old ones.

    **Arguments:**

    - `trajectories`: with `qd`.
    - `coordinates`: which coordinates are angles. They come out unwrapped.
    - `dt`: the new step in seconds.
    - `limit_bytes`: the most memory that the result may take.

    **Returns:** trajectories of common step `dt`. One shorter than that is left out.

    **Raises:** [`lagdyna.data.DataError`][] if velocities are missing, `dt` is not
    positive, no trajectory lasts that long, or the result is larger than the limit.
    """
    check_count(trajectories.n, coordinates)
    if not (dt > 0 and math.isfinite(dt)):
        raise DataError(f"`dt` was {dt}; a positive number of seconds is accepted")
    if "qd" not in trajectories.fields:
        raise DataError(
            "trajectory set: no array `qd`; `lagdyna.data.estimate_velocities` adds it"
        )
    lasting = [x for x in trajectories if _steps(x, dt) >= 1]
    if len(lasting) == 0:
        longest = max(float(x.t[-1] - x.t[0]) for x in trajectories)
        raise DataError(
            f"trajectory set: the longest trajectory lasts {longest:.4g} s and `dt` was {dt}; "
            "one of at least a step is needed"
        )
    columns = sum(x.size // trajectories[0].rows for x in trajectories[0].arrays.values())
    rows = sum(_steps(x, dt) + 1 for x in lasting)
    check_limit(f"trajectory set at steps of {dt} s", 8 * rows * columns, limit_bytes)
    return TrajectorySet([_resampled(x, coordinates, dt) for x in lasting])


def _steps(trajectory: Trajectory, dt: float) -> int:
    # A little more than the whole, lest rounding lose the last step.
    return math.floor(float(trajectory.t[-1] - trajectory.t[0]) / dt + 1e-6)


def _resampled(trajectory: Trajectory, coordinates: Coordinates, dt: float) -> Trajectory:
    old = trajectory.t
    new = np.minimum(old[0] + dt * np.arange(_steps(trajectory, dt) + 1), old[-1])
    arrays = trajectory.arrays
    position = scipy.interpolate.CubicHermiteSpline(
        old, unwrapped(arrays["q"], coordinates), arrays["qd"]
    )
    result = {"t": new, "q": position(new), "qd": position.derivative()(new)}
    if "qdd" in arrays:
        result["qd"] = scipy.interpolate.CubicHermiteSpline(old, arrays["qd"], arrays["qdd"])(
            new
        )
    for name in ("qdd", "tau"):
        if name in arrays:
            columns = [np.interp(new, old, x) for x in arrays[name].T]
            result[name] = np.stack(columns, axis=1)
    if "action" in arrays:
        result["action"] = _averaged(old, arrays["action"], new)
    return Trajectory(**result)


def _averaged(old: np.ndarray, action: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Means over the new steps of an action held over the old ones; the last row is nan."""
    impulse = np.cumsum(action[:-1] * np.diff(old)[:, None], axis=0)
    impulse = np.concatenate([np.zeros((1, action.shape[1])), impulse])
    at_new = np.stack([np.interp(new, old, x) for x in impulse.T], axis=1)
    means = np.diff(at_new, axis=0) / np.diff(new)[:, None]
    return np.concatenate([means, np.full((1, action.shape[1]), np.nan)])
