"""Conversion of recordings on the host to JAX arrays for learning."""

from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from ..mechanics import Coordinates, State
from ._angles import check_coordinate_count, wrap
from ._data_error import DataError
from ._experience import Experience
from ._trajectory import Trajectory, TrajectorySet


class TimedExperience(NamedTuple):
    """Experience with an individual duration for each step.

    It is a PyTree with the leading axis `rows`.

    **Attributes:**

    - `experience`: an [`lagdyna.data.Experience`][].
    - `dt`: duration of each step in seconds, shape `(rows,)`.
    """

    experience: Experience
    dt: Float[Array, " rows"]


class Windows(NamedTuple):
    """Windows of consecutive steps, with a mask.

    They are a PyTree with the leading axis `windows`, in the layout of
    [`lagdyna.data.ReplayBuffer.sample_windows`][]. Use them as training data for
    [`lagdyna.learners.MultiStepLoss`][].

    **Attributes:**

    - `experience`: an [`lagdyna.data.Experience`][] with leading axes `(windows, length)`.
    - `mask`: 1 for steps of the trajectory, 0 after its end, shape `(windows, length)`.
    """

    experience: Experience
    mask: Float[Array, "windows length"]


def recorded_steps(
    trajectories: TrajectorySet,
    coordinates: Coordinates,
    *,
    control: Literal["action", "tau"] | None = None,
) -> TimedExperience:
    """Convert all trajectories to experience, with an individual duration for each step.

    Recordings contain no rewards and no terminations, so `reward` is zero and `terminated`
    is false. Angles are wrapped in float64, before the conversion to JAX arrays.

    **Arguments:**

    - `trajectories`: trajectories with `qd`.
    - `coordinates`: which coordinates are angles.
    - `control`: array to use as the action. A step uses the value of its first row. The
        default is `action` if it was recorded, otherwise `tau` (for models whose actuation
        is the identity), otherwise an action of size 0.

    **Returns:** a [`lagdyna.data.TimedExperience`][].

    **Raises:** [`lagdyna.data.DataError`][] if `qd` or the chosen control is missing.
    """
    parts = [
        _steps(x, coordinates, control) for x in _require_velocities(trajectories, coordinates)
    ]
    joined = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
    return TimedExperience(_to_experience(*joined[:5]), jax.device_put(joined[5]))


def recorded_experience(
    trajectories: TrajectorySet,
    coordinates: Coordinates,
    dt: float,
    *,
    control: Literal["action", "tau"] | None = None,
    tolerance: float = 0.01,
) -> Experience:
    """Convert all trajectories to experience with equal time steps.

    The result is training data for a transition with the same `dt`.

    **Arguments:**

    - `trajectories`, `coordinates`, `control`: as for [`lagdyna.data.recorded_steps`][].
    - `dt`: time step of the transition in seconds.
    - `tolerance`: accepted deviation of a recorded step from `dt`, as a fraction of `dt`.

    **Returns:** an [`lagdyna.data.Experience`][] with one leading axis.

    **Raises:** [`lagdyna.data.DataError`][] as for [`lagdyna.data.recorded_steps`][], and
    if a time step differs from `dt`. Use [`lagdyna.data.resample`][] to make steps equal.
    """
    _check_time_steps(trajectories, dt, tolerance)
    return recorded_steps(trajectories, coordinates, control=control).experience


def recorded_windows(
    trajectories: TrajectorySet,
    coordinates: Coordinates,
    dt: float,
    length: int,
    *,
    stride: int | None = None,
    control: Literal["action", "tau"] | None = None,
    tolerance: float = 0.01,
) -> Windows:
    """Cut all trajectories into windows of consecutive steps.

    No window spans two trajectories.

    **Arguments:**

    - `trajectories`, `coordinates`, `dt`, `control`, `tolerance`: as for
        [`lagdyna.data.recorded_experience`][].
    - `length`: number of steps in a window.
    - `stride`: number of steps between the starts of consecutive windows. The default is
        `length`, so that every step is in exactly one window.

    **Returns:** the [`lagdyna.data.Windows`][].

    **Raises:** [`lagdyna.data.DataError`][] as for [`lagdyna.data.recorded_experience`][],
    and `ValueError` if `length` or `stride` is not positive.
    """
    stride = length if stride is None else stride
    if length < 1 or stride < 1:
        raise ValueError(f"`length` and `stride` must be at least 1, got {length}, {stride}")
    _check_time_steps(trajectories, dt, tolerance)
    parts, masks = [], []
    for trajectory in _require_velocities(trajectories, coordinates):
        steps = _steps(trajectory, coordinates, control)
        rows = np.arange(0, len(steps[0]), stride)[:, None] + np.arange(length)
        masks.append(rows < len(steps[0]))
        # Pad windows that end early with the last step; the mask excludes it.
        parts.append([x[np.minimum(rows, len(x) - 1)] for x in steps])
    joined = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
    mask = np.concatenate(masks).astype(float)
    return Windows(_to_experience(*joined[:5]), jax.device_put(mask))


def recorded_accelerations(
    trajectories: TrajectorySet,
    coordinates: Coordinates,
    *,
    control: Literal["action", "tau"] | None = None,
) -> tuple[State, Float[Array, "rows m"], Float[Array, "rows n"]]:
    """Collect states, controls and accelerations from all rows.

    [`lagdyna.learners.accelerations`][] wraps the result for learning. Rows with an unknown
    control are left out, for example the last row of a trajectory.

    **Arguments:** as for [`lagdyna.data.recorded_steps`][].

    **Returns:** the state, shapes `(rows, n)`, the control, shape `(rows, m)`, and `qdd`,
    shape `(rows, n)`.

    **Raises:** [`lagdyna.data.DataError`][] if `qd`, `qdd` or the chosen control is missing.
    """
    parts = []
    for trajectory in _require_velocities(trajectories, coordinates):
        arrays = trajectory.arrays
        if "qdd" not in arrays:
            raise DataError(
                "trajectory set: no array `qdd`; without accelerations, use a loss on states "
                "predicted by the solver, with data from `lagdyna.data.recorded_experience`"
            )
        action = _get_control(trajectory, control)
        known = ~np.isnan(action).any(axis=1)
        q = wrap(arrays["q"], coordinates)
        parts.append([x[known] for x in (q, arrays["qd"], action, arrays["qdd"])])
    q, qd, action, qdd = (jax.device_put(np.concatenate(x)) for x in zip(*parts, strict=True))
    return State(q, qd), action, qdd


def _require_velocities(trajectories: TrajectorySet, coordinates: Coordinates) -> TrajectorySet:
    """Return `trajectories`, or raise `DataError` if `qd` is missing or `n` differs."""
    check_coordinate_count(trajectories.n, coordinates)
    if "qd" not in trajectories.fields:
        raise DataError(
            "trajectory set: no array `qd`; add it with `lagdyna.data.estimate_velocities`"
        )
    return trajectories


def _check_time_steps(trajectories: TrajectorySet, dt: float, tolerance: float) -> None:
    """Raise `DataError` if a time step differs from `dt` by more than `tolerance * dt`."""
    for i, trajectory in enumerate(trajectories):
        steps = np.diff(trajectory.t)
        wrong = np.flatnonzero(~(np.abs(steps - dt) <= tolerance * dt))
        if len(wrong) > 0:
            raise DataError(
                f"trajectory set: trajectory {i}, row {wrong[0]}: found a step of "
                f"{steps[wrong[0]]:.6g} s, but `dt` was {dt}; make the steps equal with "
                "`lagdyna.data.resample`"
            )


def _steps(
    trajectory: Trajectory, coordinates: Coordinates, control: Literal["action", "tau"] | None
) -> list[np.ndarray]:
    """Compute `q`, `qd`, action, next `q`, next `qd` and duration of each step."""
    arrays = trajectory.arrays
    q, qd = wrap(arrays["q"], coordinates), arrays["qd"]
    action = _get_control(trajectory, control)
    return [q[:-1], qd[:-1], action[:-1], q[1:], qd[1:], np.diff(trajectory.t)]


def _to_experience(
    q: np.ndarray, qd: np.ndarray, action: np.ndarray, next_q: np.ndarray, next_qd: np.ndarray
) -> Experience:
    """Convert arrays of steps to experience without rewards and terminations."""
    batch = q.shape[:-1]
    # Operations of `jax.numpy` would compile a program each for every number of rows.
    arrays: Any = jax.device_put(
        ((q, qd), (next_q, next_qd), action, np.zeros(batch), np.zeros(batch, bool))
    )
    before, after, acted, reward, terminated = arrays
    return Experience(State(*before), acted, reward, State(*after), terminated)


def _get_control(
    trajectory: Trajectory, control: Literal["action", "tau"] | None
) -> Float[np.ndarray, "time m"]:
    """Return the array to use as the action."""
    arrays = trajectory.arrays
    if control is not None and control not in arrays:
        raise DataError(
            f"trajectory set: no array `{control}`, found {', '.join(arrays)}; "
            "`control` must name a recorded array"
        )
    if control is None:
        control = "action" if "action" in arrays else "tau"
    return arrays.get(control, np.zeros((trajectory.rows, 0)))
