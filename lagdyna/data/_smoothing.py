import math

import numpy as np
import scipy
from jaxtyping import Float64

from ..mechanics import Coordinates
from ._angles import check_coordinate_count, unwrap
from ._data_error import DataError
from ._quantisation import quantisation_steps
from ._trajectory import Trajectory, TrajectorySet

_DIFFERENCE_ORDER = 4
_SPLINE_DEGREE = 5
_EXACT = 1e-6  # noise of positions over their spread that does no harm to accelerations
_QUIET = 5.0  # noise of velocities over that of positions, in frequencies of the motion
_ROUNDED = 1.2  # times the error of rounding; noise of less is taken for it


def estimate_noise(
    trajectories: TrajectorySet, coordinates: Coordinates
) -> Float64[np.ndarray, " n"]:
    """Estimate the standard deviation of white measurement noise in each coordinate.

    The estimate is the root mean square of scaled divided differences of fourth order. They
    nearly cancel motion that is smooth over five samples and retain the noise. The scaling
    is valid for equal and unequal time steps (Gasser, Sroka & Jennen-Steinmetz 1986, who
    use second order). With coarse sampling, remaining motion makes the estimate too large.

    Positions of an encoder may repeat for many samples, which hides their error from
    differences. If the positions lie on a grid, see [`lagdyna.data.quantisation_steps`][],
    the estimate is at least that of rounding, the step over the square root of 12. It is
    that of rounding if differences give less than a fifth more.

    **Arguments:**

    - `trajectories`: trajectories with any arrays.
    - `coordinates`: which coordinates are angles.

    **Returns:** standard deviations in metres or radians, shape `(n,)`. Zeros if every
    trajectory has fewer than 5 rows.

    **Raises:** [`lagdyna.data.DataError`][] if the numbers of coordinates differ.
    """
    check_coordinate_count(trajectories.n, coordinates)
    squares, count = np.zeros(trajectories.n), 0
    for trajectory in trajectories:
        if trajectory.rows > _DIFFERENCE_ORDER:
            differences = _scaled_differences(trajectory.t, unwrap(trajectory.q, coordinates))
            squares += np.sum(differences**2, axis=0)
            count += len(differences)
    noise = np.sqrt(squares / max(count, 1))
    rounding = quantisation_steps(trajectories) / math.sqrt(12)
    return np.where(noise < _ROUNDED * rounding, rounding, noise)


def estimate_velocities(
    trajectories: TrajectorySet,
    coordinates: Coordinates,
    noise: float | Float64[np.ndarray, " n"] | None = None,
) -> TrajectorySet:
    """Estimate velocities from noisy positions with smoothing splines.

    Each coordinate is fitted by a quintic smoothing spline (FITPACK, through
    `scipy.interpolate.UnivariateSpline`). The smoothing is chosen so that the root mean
    square residual equals the standard deviation of the noise. The derivative of the spline
    is the velocity. Angles are unwrapped first. Velocities at both ends of a trajectory are
    the least accurate.

    **Arguments:**

    - `trajectories`: trajectories without `qd`.
    - `coordinates`: which coordinates are angles.
    - `noise`: standard deviation of the noise of `q`, metres or radians, a scalar or shape
        `(n,)`. Zero for exact data. By default [`lagdyna.data.estimate_noise`][] estimates
        it.

    **Returns:** the trajectories with `qd` added; `q` is unchanged.

    **Raises:** [`lagdyna.data.DataError`][] if `qd` was recorded, or if `noise` is negative
    or not finite.
    """
    check_coordinate_count(trajectories.n, coordinates)
    if "qd" in trajectories.fields:
        raise DataError("trajectory set: already has `qd`; pass trajectories without it")
    if noise is None:
        deviations = estimate_noise(trajectories, coordinates)
    else:
        deviations = np.broadcast_to(np.asarray(noise, np.float64), trajectories.n)
    if not (np.isfinite(deviations).all() and (deviations >= 0).all()):
        raise DataError(f"`noise` was {noise}; finite numbers of at least 0 are accepted")
    return TrajectorySet([_add_velocities(x, coordinates, deviations) for x in trajectories])


def estimate_accelerations(
    trajectories: TrajectorySet, coordinates: Coordinates
) -> TrajectorySet:
    """Estimate accelerations with smoothing splines.

    They are second derivatives of splines through the positions, as those of
    [`lagdyna.data.estimate_velocities`][]. Where the velocities are much less noisy, they are
    first derivatives of splines through the velocities. Values at both ends of a trajectory
    are the least accurate.

    **Arguments:**

    - `trajectories`: trajectories with `qd` and without `qdd`.
    - `coordinates`: which coordinates are angles.

    **Returns:** the trajectories with `qdd` added.

    **Raises:** [`lagdyna.data.DataError`][] if `qdd` was recorded, or `qd` is missing.
    """
    check_coordinate_count(trajectories.n, coordinates)
    if "qdd" in trajectories.fields or "qd" not in trajectories.fields:
        raise DataError(
            f"trajectory set: has the arrays {', '.join(trajectories.fields)}; `qd` is needed "
            "to estimate accelerations, and no `qdd`"
        )
    velocities = [Trajectory(each.t, each.arrays["qd"]) for each in trajectories]
    linear = Coordinates((False,) * trajectories.n)
    noise = estimate_noise(trajectories, coordinates)
    velocity_noise = estimate_noise(TrajectorySet(velocities), linear)
    # Each derivative multiplies noise by a frequency, a few times that of the motion.
    positions = np.concatenate([unwrap(each.q, coordinates) for each in trajectories])
    spread = np.std(positions, axis=0)
    speeds = np.std(np.concatenate([each.q for each in velocities]), axis=0)
    frequency = speeds / np.where(spread > 0, spread, 1)
    quieter = velocity_noise < _QUIET * frequency * noise
    from_velocities = quieter & (noise > _EXACT * spread)
    completed = []
    for trajectory, velocity in zip(trajectories, velocities, strict=True):
        q, t = unwrap(trajectory.q, coordinates), trajectory.t
        columns = [
            _smoothed_derivative(t, velocity.q[:, i], float(velocity_noise[i]))
            if from_velocities[i]
            else _smoothed_derivative(t, q[:, i], float(noise[i]), 2)
            for i in range(trajectories.n)
        ]
        qdd = np.stack(columns, axis=1)
        completed.append(trajectory.replaced({**trajectory.arrays, "qdd": qdd}))
    return TrajectorySet(completed)


def _add_velocities(
    trajectory: Trajectory, coordinates: Coordinates, deviations: np.ndarray
) -> Trajectory:
    """Add velocities to one trajectory."""
    q = unwrap(trajectory.q, coordinates)
    columns = [
        _smoothed_derivative(trajectory.t, x, float(deviation))
        for x, deviation in zip(q.T, deviations, strict=True)
    ]
    return trajectory.replaced({**trajectory.arrays, "qd": np.stack(columns, axis=1)})


def _smoothed_derivative(
    t: np.ndarray, x: np.ndarray, deviation: float, order: int = 1
) -> np.ndarray:
    """Compute a derivative of the smoothing spline of one coordinate at the times `t`."""
    if len(t) == 2:
        return np.gradient(x, t) if order == 1 else np.zeros_like(x)
    degree = min(_SPLINE_DEGREE, len(t) - 1)
    # Standardise the data, since FITPACK's tolerances are absolute.
    step, scale = (t[-1] - t[0]) / (len(t) - 1), float(np.std(x))
    if scale == 0:
        return np.zeros_like(x)
    s, y = (t - t[0]) / step, (x - np.mean(x)) / scale
    relative = deviation / scale
    if relative < 1e-9:  # FITPACK would place a knot at each sample
        spline = scipy.interpolate.make_interp_spline(s, y, degree)
    else:
        spline = scipy.interpolate.UnivariateSpline(s, y, k=degree, s=len(t) * relative**2)
    return spline.derivative(order)(s) * (scale / step**order)


def _scaled_differences(t: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Compute divided differences of each column.

    They are scaled to the standard deviation of white noise in the column.
    """
    rows = len(t) - _DIFFERENCE_ORDER
    # Divide times by the mean step, so that the weights cannot overflow.
    s = (t - t[0]) * ((len(t) - 1) / (t[-1] - t[0]))
    windows = np.stack([s[i : i + rows] for i in range(_DIFFERENCE_ORDER + 1)])
    weights = np.stack(
        [
            1
            / math.prod(windows[i] - windows[j] for j in range(_DIFFERENCE_ORDER + 1) if j != i)
            for i in range(_DIFFERENCE_ORDER + 1)
        ]
    )
    weights /= np.linalg.norm(weights, axis=0)
    samples = np.stack([q[i : i + rows] for i in range(_DIFFERENCE_ORDER + 1)])
    return np.sum(weights[:, :, None] * samples, axis=0)
