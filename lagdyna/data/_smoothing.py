import math

import numpy as np
import scipy
from jaxtyping import Float64

from ..mechanics import Coordinates
from ._angles import check_count, unwrapped
from ._data_error import DataError
from ._trajectory import Trajectory, TrajectorySet

_ORDER = 4  # of the differences that show the noise
_DEGREE = 5


def estimate_noise(
    trajectories: TrajectorySet, coordinates: Coordinates
) -> Float64[np.ndarray, " n"]:
    """Standard deviation of the noise in each coordinate, as white noise would have it.

    Divided differences of fourth order see nearly nothing of a motion that is smooth over
    five samples, and all of the noise; scaled, they have its standard deviation, at equal
    and at unequal time steps (Gasser, Sroka & Jennen-Steinmetz 1986, there of second
    order). Where sampling is coarse the estimate is too large by what remains of the motion.

    **Arguments:**

    - `trajectories`: with any arrays.
    - `coordinates`: which coordinates are angles.

    **Returns:** metres or radians, shape `(n,)`; zeros if no trajectory has 5 rows.
    """
    check_count(trajectories.n, coordinates)
    squares, count = np.zeros(trajectories.n), 0
    for trajectory in trajectories:
        if trajectory.rows > _ORDER:
            differences = _scaled_differences(
                trajectory.t, unwrapped(trajectory.q, coordinates)
            )
            squares += np.sum(differences**2, axis=0)
            count += len(differences)
    return np.sqrt(squares / max(count, 1))


def estimate_velocities(
    trajectories: TrajectorySet,
    coordinates: Coordinates,
    noise: float | Float64[np.ndarray, " n"] | None = None,
) -> TrajectorySet:
    """Adds the velocities that were not recorded, from noisy positions.

    Each coordinate is smoothed by a quintic spline, as smooth as the noise allows: it
    misses the samples by the standard deviation of the noise (FITPACK, by
    `scipy.interpolate.UnivariateSpline`). Its derivative is the velocity. Angles are
    unwrapped first. Velocities at the two ends of a trajectory are the least certain.

    **Arguments:**

    - `trajectories`: without `qd`.
    - `coordinates`: which coordinates are angles.
    - `noise`: standard deviation of the noise of `q`, if it is known, metres or radians;
        estimated by [`lagdyna.data.estimate_noise`][] by default. Zero for exact data.

    **Returns:** the same trajectories with `qd`; `q` is as it was.

    **Raises:** [`lagdyna.data.DataError`][] if there are velocities already, or if `noise`
    is negative or not finite.
    """
    check_count(trajectories.n, coordinates)
    if "qd" in trajectories.fields:
        raise DataError("trajectory set: has `qd` already; velocities are estimated without")
    if noise is None:
        deviations = estimate_noise(trajectories, coordinates)
    else:
        deviations = np.broadcast_to(np.asarray(noise, np.float64), trajectories.n)
    if not (np.isfinite(deviations).all() and (deviations >= 0).all()):
        raise DataError(f"`noise` was {noise}; finite numbers of at least 0 are accepted")
    return TrajectorySet([_with_velocities(x, coordinates, deviations) for x in trajectories])


def _with_velocities(
    trajectory: Trajectory, coordinates: Coordinates, deviations: np.ndarray
) -> Trajectory:
    q = unwrapped(trajectory.q, coordinates)
    columns = [
        _derivative(trajectory.t, x, float(deviation))
        for x, deviation in zip(q.T, deviations, strict=True)
    ]
    return Trajectory(**trajectory.arrays, qd=np.stack(columns, axis=1))


def _derivative(t: np.ndarray, x: np.ndarray, deviation: float) -> np.ndarray:
    if len(t) == 2:
        return np.gradient(x, t)
    degree = min(_DEGREE, len(t) - 1)
    # Centred and scaled, so that FITPACK's own tolerances fit any units.
    step, scale = (t[-1] - t[0]) / (len(t) - 1), float(np.std(x))
    if scale == 0:
        return np.zeros_like(x)
    s, y = (t - t[0]) / step, (x - np.mean(x)) / scale
    relative = deviation / scale
    if relative < 1e-9:  # nothing to smooth, and FITPACK would take a knot for each sample
        spline = scipy.interpolate.make_interp_spline(s, y, degree)
    else:
        spline = scipy.interpolate.UnivariateSpline(s, y, k=degree, s=len(t) * relative**2)
    return spline.derivative()(s) * (scale / step)


def _scaled_differences(t: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Divided differences of each column, scaled to the noise's standard deviation."""
    rows = len(t) - _ORDER
    # Steps in units of their mean: the scale of the weights then cannot overflow.
    s = (t - t[0]) * ((len(t) - 1) / (t[-1] - t[0]))
    windows = np.stack([s[i : i + rows] for i in range(_ORDER + 1)])
    weights = np.stack(
        [
            1 / math.prod(windows[i] - windows[j] for j in range(_ORDER + 1) if j != i)
            for i in range(_ORDER + 1)
        ]
    )
    weights /= np.linalg.norm(weights, axis=0)
    samples = np.stack([q[i : i + rows] for i in range(_ORDER + 1)])
    return np.sum(weights[:, :, None] * samples, axis=0)
