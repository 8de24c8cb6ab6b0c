"""From recordings on the host to the arrays that models learn from."""

from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..mechanics import Coordinates, State
from ._angles import check_count, wrapped
from ._data_error import DataError
from ._experience import Experience
from ._trajectory import Trajectory, TrajectorySet


class TimedExperience(NamedTuple):
    """Experience whose steps are not all equally long.

    A PyTree with one leading axis.

    **Attributes:**

    - `experience`: an [`lagdyna.data.Experience`][].
    - `dt`: how long each step took, seconds, shape `(rows,)`.
    """

    experience: Experience
    dt: Float[Array, " rows"]


class Windows(NamedTuple):
    """Consecutive steps, as [`lagdyna.data.ReplayBuffer.sample_windows`][] gives them.

    A PyTree with the leading axis `windows`, and so data for
    [`lagdyna.learners.MultiStepLoss`][].

    **Attributes:**

    - `experience`: leading axes `(windows, length)`.
    - `mask`: 0 from where a trajectory has ended, shape `(windows, length)`.
    """

    experience: Experience
    mask: Float[Array, "windows length"]


def recorded_steps(
    trajectories: TrajectorySet,
    coordinates: Coordinates,
    *,
    control: Literal["action", "tau"] | None = None,
) -> TimedExperience:
    """Every step of every trajectory, each with its own duration.

    Rewards are zero and nothing terminates: recordings tell of neither. Angles are
    wrapped, while still in float64.

    **Arguments:**

    - `trajectories`: with `qd`.
    - `coordinates`: which coordinates are angles.
    - `control`: what the experience's action is, held over a step from its first row on.
        By default `action` if it was recorded, else `tau` (for a model whose actuation is
        the identity), else nothing, an action of size 0.

    **Raises:** [`lagdyna.data.DataError`][] if velocities or the control are missing.
    """
    parts = [_steps(x, coordinates, control) for x in _checked(trajectories, coordinates)]
    joined = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
    return TimedExperience(_experience(*joined[:5]), jnp.asarray(joined[5]))


def recorded_experience(
    trajectories: TrajectorySet,
    coordinates: Coordinates,
    dt: float,
    *,
    control: Literal["action", "tau"] | None = None,
    tolerance: float = 0.01,
) -> Experience:
    """Every step of every trajectory, all of one duration, for a transition of that `dt`.

    **Arguments:**

    - `trajectories`, `coordinates`, `control`: as for [`lagdyna.data.recorded_steps`][].
    - `dt`: the transition's step in seconds.
    - `tolerance`: by how much of `dt` a recorded step may differ from it.

    **Raises:** [`lagdyna.data.DataError`][] as `recorded_steps` does, and if a step is of
    another length: [`lagdyna.data.resample`][] makes them equal.
    """
    _check_steps(trajectories, dt, tolerance)
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
    """Windows of `length` consecutive steps, none across two trajectories.

    **Arguments:**

    - `trajectories`, `coordinates`, `dt`, `control`, `tolerance`: as for
        [`lagdyna.data.recorded_experience`][].
    - `length`: steps in a window.
    - `stride`: steps from the start of one window to that of the next; `length` by
        default, so that every step is in one window.

    **Raises:** [`lagdyna.data.DataError`][] as `recorded_experience` does, and
    `ValueError` if `length` or `stride` is not positive.
    """
    stride = length if stride is None else stride
    if length < 1 or stride < 1:
        raise ValueError(f"`length` and `stride` must be at least 1, got {length}, {stride}")
    _check_steps(trajectories, dt, tolerance)
    parts, masks = [], []
    for trajectory in _checked(trajectories, coordinates):
        steps = _steps(trajectory, coordinates, control)
        rows = np.arange(0, len(steps[0]), stride)[:, None] + np.arange(length)
        masks.append(rows < len(steps[0]))
        # What lies beyond the end repeats the last step, and is masked.
        parts.append([x[np.minimum(rows, len(x) - 1)] for x in steps])
    joined = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
    return Windows(_experience(*joined[:5]), jnp.asarray(np.concatenate(masks), float))


def recorded_accelerations(
    trajectories: TrajectorySet,
    coordinates: Coordinates,
    *,
    control: Literal["action", "tau"] | None = None,
) -> tuple[State, Float[Array, "rows m"], Float[Array, "rows n"]]:
    """Every row with its acceleration; see [`lagdyna.learners.accelerations`][].

    **Arguments:** as for [`lagdyna.data.recorded_steps`][].

    **Returns:** state, control and `qdd`, each with a leading axis `rows`. A row whose
    control is not known, the last of a trajectory perhaps, is left out.

    **Raises:** [`lagdyna.data.DataError`][] if velocities, accelerations or the control
    are missing.
    """
    parts = []
    for trajectory in _checked(trajectories, coordinates):
        arrays = trajectory.arrays
        if "qdd" not in arrays:
            raise DataError(
                "trajectory set: no array `qdd`; without accelerations, losses through the "
                "solver take what `lagdyna.data.recorded_experience` gives"
            )
        action = _control(trajectory, control)
        known = ~np.isnan(action).any(axis=1)
        q = wrapped(arrays["q"], coordinates)
        parts.append([x[known] for x in (q, arrays["qd"], action, arrays["qdd"])])
    q, qd, action, qdd = (jnp.asarray(np.concatenate(x)) for x in zip(*parts, strict=True))
    return State(q, qd), action, qdd


def _checked(trajectories: TrajectorySet, coordinates: Coordinates) -> TrajectorySet:
    check_count(trajectories.n, coordinates)
    if "qd" not in trajectories.fields:
        raise DataError(
            "trajectory set: no array `qd`; `lagdyna.data.estimate_velocities` adds it"
        )
    return trajectories


def _check_steps(trajectories: TrajectorySet, dt: float, tolerance: float) -> None:
    for i, trajectory in enumerate(trajectories):
        steps = np.diff(trajectory.t)
        wrong = np.flatnonzero(~(np.abs(steps - dt) <= tolerance * dt))
        if len(wrong) > 0:
            raise DataError(
                f"trajectory set: trajectory {i}, row {wrong[0]}: a step of "
                f"{steps[wrong[0]]:.6g} s where `dt` was {dt}; `lagdyna.data.resample` makes "
                "the steps equal"
            )


def _steps(
    trajectory: Trajectory, coordinates: Coordinates, control: Literal["action", "tau"] | None
) -> list[np.ndarray]:
    """`q`, `qd`, action, next `q`, next `qd` and duration of each step."""
    arrays = trajectory.arrays
    q, qd = wrapped(arrays["q"], coordinates), arrays["qd"]
    action = _control(trajectory, control)
    return [q[:-1], qd[:-1], action[:-1], q[1:], qd[1:], np.diff(trajectory.t)]


def _experience(
    q: np.ndarray, qd: np.ndarray, action: np.ndarray, next_q: np.ndarray, next_qd: np.ndarray
) -> Experience:
    batch = q.shape[:-1]
    return Experience(
        State(jnp.asarray(q), jnp.asarray(qd)),
        jnp.asarray(action),
        jnp.zeros(batch),
        State(jnp.asarray(next_q), jnp.asarray(next_qd)),
        jnp.zeros(batch, bool),
    )


def _control(
    trajectory: Trajectory, control: Literal["action", "tau"] | None
) -> Float[np.ndarray, "time m"]:
    arrays = trajectory.arrays
    if control is not None and control not in arrays:
        raise DataError(
            f"trajectory set: no array `{control}`, found {', '.join(arrays)}; "
            "`control` names an array that was recorded"
        )
    if control is None:
        control = "action" if "action" in arrays else "tau"
    return arrays.get(control, np.zeros((trajectory.rows, 0)))
