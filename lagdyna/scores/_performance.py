"""Performance score of RealAIGym's leaderboard, version 2."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from ..tasks.suite import realaigym

# Normalisation `n` of each criterion `c` in `tanh(pi c / n)`.
_NORMALISATION = {
    "swing_up_time": 20.0,
    "energy": 60.0,
    "torque_cost": 20.0,
    "torque_smoothness": 0.1,
    "velocity_cost": 400.0,
}
_WHOLE = 0.99  # fraction of 10 s that a successful trajectory must reach


class RealAIGymScore(NamedTuple):
    """Performance criteria and score of RealAIGym's leaderboard.

    **Attributes:**

    - `success`: whether the tip reaches the goal height and stays above it to the end.
    - `swing_up_time`: time from which the tip stays above, s; the last time of the trajectory
        if there is none, infinity if the trajectory is shorter than 9.9 s.
    - `energy`: sum of the absolute work of the motors in each step, J.
    - `torque_cost`: integral of the squared torques, N^2 m^2 s.
    - `torque_smoothness`: standard deviation of the change of torque between two rows, N m.
    - `velocity_cost`: integral of the squared joint velocities, rad^2/s.
    - `score`: success times `1 - mean(tanh(pi c / n))` over the five criteria.
    """

    success: bool
    swing_up_time: float
    energy: float
    torque_cost: float
    torque_smoothness: float
    velocity_cost: float
    score: float


def realaigym_score(
    t: Float[Array | np.ndarray, " time"],
    q: Float[Array | np.ndarray, "_ 2"],
    qd: Float[Array | np.ndarray, "_ 2"],
    tau: Float[Array | np.ndarray, "_ 2"],
) -> RealAIGymScore:
    """Compute the performance score of RealAIGym's leaderboard, version 2.

    The score is that of `leaderboard_scores` in `double_pendulum.analysis.leaderboard`, with
    the weights and normalisations of `leaderboard/acrobot/simulation_v2`. The swing-up time is
    the time of the first row from which all rows are above the goal height. As on the
    leaderboard, the heights of the first and the last row do not count.

    **Arguments:**

    - `t`: times, s. The leaderboard has 5000 rows, 2 ms apart.
    - `q`: joint angles in lagdyna's coordinates, 0 when upright, wrapped or not. RealAIGym
        counts the first one from hanging; subtract pi from it.
    - `qd`: joint velocities, rad/s.
    - `tau`: torques on both joints, held from each row to the next, N m.

    **Raises:** `ValueError` if the arrays have other shapes, fewer than three rows or numbers
    that are not finite, or if `t` does not increase.
    """
    t, q, qd, tau = _checked(t, q, qd, tau)
    dt = np.diff(t)
    moved = np.diff(q, axis=0)
    moved = moved - 2 * np.pi * np.round(moved / (2 * np.pi))  # the shorter way
    swing_up_time = _swing_up_time(t, q)
    criteria = {
        "swing_up_time": swing_up_time,
        "energy": float(np.sum(np.abs(moved * tau[:-1]))),
        "torque_cost": float(dt @ np.sum(tau[:-1] ** 2, axis=1)),
        "torque_smoothness": float(np.sum(np.std(np.diff(tau, axis=0), axis=0))),
        "velocity_cost": float(dt @ np.sum(qd[:-1] ** 2, axis=1)),
    }
    success = bool(swing_up_time < t[-1])
    penalties = [np.tanh(np.pi * c / _NORMALISATION[name]) for name, c in criteria.items()]
    score = float(1 - np.mean(penalties)) if success else 0.0
    return RealAIGymScore(success, **criteria, score=score)


def tip_height(q: Float[np.ndarray, "*time 2"]) -> Float[np.ndarray, "*time"]:
    """Compute the height of the tip above the pivot, m."""
    theta = np.cumsum(q, axis=-1)
    return np.sum(np.asarray(realaigym.LENGTH) * np.cos(theta), axis=-1)


def _swing_up_time(t: Float[np.ndarray, " time"], q: Float[np.ndarray, "time 2"]) -> float:
    """Compute the time from which the tip stays above the goal height."""
    if t[-1] < _WHOLE * realaigym.SECONDS:
        return float("inf")
    down = np.flatnonzero(tip_height(q[1:-1]) <= realaigym.GOAL_HEIGHT) + 1
    first = 1 if len(down) == 0 else int(down[-1]) + 1
    return float(t[first])


def _checked(*arrays: Float[Array | np.ndarray, "..."]) -> tuple[np.ndarray, ...]:
    """Convert the arrays of a trajectory, and check their shapes and values."""
    t, q, qd, tau = (np.asarray(array, float) for array in arrays)
    rows = len(t) if t.ndim == 1 else 0
    shapes = [array.shape for array in (t, q, qd, tau)]
    if rows < 3 or shapes[1:] != [(rows, 2)] * 3:
        raise ValueError(
            f"`t`, `q`, `qd` and `tau` have the shapes {shapes}; (rows,) and three times "
            "(rows, 2) with at least three rows are accepted"
        )
    for name, array in zip(("t", "q", "qd", "tau"), (t, q, qd, tau), strict=True):
        if not np.isfinite(array).all():
            raise ValueError(f"`{name}` has numbers that are not finite; give finite ones")
    if np.any(np.diff(t) <= 0):
        raise ValueError("`t` does not increase; give the times in order")
    return t, q, qd, tau
