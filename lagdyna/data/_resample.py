import math

import numpy as np
import scipy

from ..mechanics import Coordinates
from ._angles import check_coordinate_count, unwrap
from ._data_error import DataError
from ._limit import LIMIT_BYTES, check_limit
from ._trajectory import Trajectory, TrajectorySet, split_at_pauses


def resample(
    trajectories: TrajectorySet,
    coordinates: Coordinates,
    dt: float,
    *,
    limit_bytes: int = LIMIT_BYTES,
) -> TrajectorySet:
    """Resample trajectories to equal time steps `dt`.

    Trajectories are split at pauses first; see [`lagdyna.data.split_at_pauses`][]. Each piece
    starts at its first recorded time. Positions are interpolated by the
    cubic Hermite spline of recorded positions and velocities. Velocities are the derivative
    of that spline. If `qdd` was recorded, they follow the cubic Hermite spline of velocities
    and accelerations instead. `qdd` and `tau` are interpolated linearly.

    An action that changes within a new step is averaged over the step. The average keeps
    the impulse, but its effect is exact only if the new times are a subset of the old ones.

    **Arguments:**

    - `trajectories`: trajectories with `qd`.
    - `coordinates`: which coordinates are angles. Angles are returned unwrapped.
    - `dt`: new time step in seconds.
    - `limit_bytes`: maximum memory of the result in bytes, 2 GiB by default.

    **Returns:** a [`lagdyna.data.TrajectorySet`][] with time step `dt`. Trajectories shorter
    than `dt` are left out.

    **Raises:** [`lagdyna.data.DataError`][] if velocities are missing, `dt` is not positive,
    all trajectories are shorter than `dt`, or the result exceeds the limit.
    """
    check_coordinate_count(trajectories.n, coordinates)
    if not (dt > 0 and math.isfinite(dt)):
        raise DataError(f"`dt` was {dt}; a positive number of seconds is accepted")
    if "qd" not in trajectories.fields:
        raise DataError(
            "trajectory set: no array `qd`; add it with `lagdyna.data.estimate_velocities`"
        )
    trajectories = split_at_pauses(trajectories)
    long_enough = [x for x in trajectories if _count_steps(x, dt) >= 1]
    if len(long_enough) == 0:
        longest = max(float(x.t[-1] - x.t[0]) for x in trajectories)
        raise DataError(
            f"trajectory set: `dt` was {dt}, but the longest trajectory lasts {longest:.4g} s; "
            "a `dt` of at most this duration is accepted"
        )
    columns = sum(x.size // trajectories[0].rows for x in trajectories[0].arrays.values())
    rows = sum(_count_steps(x, dt) + 1 for x in long_enough)
    check_limit(f"trajectory set at steps of {dt} s", 8 * rows * columns, limit_bytes)
    return TrajectorySet([_resample_one(x, coordinates, dt) for x in long_enough])


def _count_steps(trajectory: Trajectory, dt: float) -> int:
    """Count the steps of `dt` within a trajectory."""
    # The small addend keeps the last step in spite of rounding.
    return math.floor(float(trajectory.t[-1] - trajectory.t[0]) / dt + 1e-6)


def _resample_one(trajectory: Trajectory, coordinates: Coordinates, dt: float) -> Trajectory:
    """Resample one trajectory."""
    old = trajectory.t
    new = np.minimum(old[0] + dt * np.arange(_count_steps(trajectory, dt) + 1), old[-1])
    arrays = trajectory.arrays
    position = scipy.interpolate.CubicHermiteSpline(
        old, unwrap(arrays["q"], coordinates), arrays["qd"]
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
        result["action"] = _average_actions(old, arrays["action"], new)
    return trajectory.replaced(result)


def _average_actions(old: np.ndarray, action: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Average a piecewise constant action over the new steps. The last row is NaN."""
    impulse = np.cumsum(action[:-1] * np.diff(old)[:, None], axis=0)
    impulse = np.concatenate([np.zeros((1, action.shape[1])), impulse])
    at_new = np.stack([np.interp(new, old, x) for x in impulse.T], axis=1)
    means = np.diff(at_new, axis=0) / np.diff(new)[:, None]
    return np.concatenate([means, np.full((1, action.shape[1]), np.nan)])
