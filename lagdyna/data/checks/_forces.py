"""Recorded forces and actions that do not go with the motion."""

from typing import Literal

import numpy as np

from ...mechanics import Coordinates
from .._angles import unwrap
from .._trajectory import Trajectory, TrajectorySet
from ._finding import Finding
from ._increments import integrate, windows

_RIDGE = 1e-4  # of the mean square of a regressor; keeps nearly equal ones apart
_UNEXPLAINED = 0.1  # share of the variance; less is chance


def force_findings(
    trajectories: TrajectorySet, coordinates: Coordinates, control: Literal["tau", "action"]
) -> list[Finding]:
    """Find forces or actions that are constant, too large, or go with no motion.

    Impulses are regressed on what forces do: changes of velocities and positions, and the
    integrals of positions, of their sines and cosines and of the directions of motion.
    """
    columns = np.concatenate([each.arrays[control] for each in trajectories])
    columns = columns[~np.isnan(columns).any(axis=1)]
    found = []
    if control == "action":
        found += [_too_large(f"action{i}", x) for i, x in enumerate(columns.T) if _is_large(x)]
    if not columns.any():
        return [*found, Finding(f"{control} is 0 in every row: only free motion is learned")]
    explained = _explained(trajectories, coordinates, control)
    for i, x in enumerate(columns.T):
        if np.ptp(x) == 0 and x[0] != 0:
            found.append(Finding(f"{control}{i} is {x[0]:g} in every row: was it recorded?"))
        elif np.ptp(x) > 0 and explained is not None and explained[i] < _UNEXPLAINED:
            found.append(
                Finding(
                    f"{control}{i} does not go with the motion, which explains "
                    f"{max(explained[i], 0):.0%} of its variation"
                )
            )
    return found


def _is_large(action: np.ndarray) -> bool:
    return bool(np.abs(action).max() > 1 + 1e-6)


def _too_large(name: str, action: np.ndarray) -> Finding:
    return Finding(
        f"{name} reaches {np.abs(action).max():.4g}, and actions of lagdyna lie in [-1, 1]: a "
        "force in N or N m? call it tau if so"
    )


def _explained(
    trajectories: TrajectorySet, coordinates: Coordinates, control: str
) -> np.ndarray | None:
    """Compute the share of each impulse's variance that the motion explains.

    It is that of rows that the regression has not seen, at the best length of windows;
    `None` without enough rows.
    """
    series = [_columns(each, coordinates, control) for each in trajectories]
    m, best = series[0].shape[1] - 1 - 6 * coordinates.n, None
    for increments in windows(series):
        if len(increments) < 4 * (increments.shape[1] - m):
            break
        x, y = increments[:, :-m], increments[:, -m:]
        x = x / np.maximum(np.sqrt(np.mean(x**2, axis=0)), np.finfo(float).tiny)
        block = np.arange(len(x)) * 10 // len(x) % 2
        left = np.zeros(m)
        for part in (0, 1):
            a, b = x[block == part], y[block == part]
            ridge = _RIDGE * len(a) * np.eye(a.shape[1])
            weights = np.linalg.solve(a.T @ a + ridge, a.T @ b)
            left += np.sum((y - x @ weights)[block != part] ** 2, axis=0)
        total = np.maximum(np.sum(y**2, axis=0), np.finfo(float).tiny)
        best = np.fmax(1 - left / total, -np.inf if best is None else best)
    return best


def _columns(trajectory: Trajectory, coordinates: Coordinates, control: str) -> np.ndarray:
    """Collect the integrals of what forces do, and of the forces in the last columns."""
    t, q, qd = trajectory.t, unwrap(trajectory.q, coordinates), trajectory.arrays["qd"]
    position = np.where(np.asarray(coordinates.angles), 0, q)
    motion = integrate(t, np.concatenate([position, np.sin(q), np.cos(q), np.sign(qd)], axis=1))
    force = np.nan_to_num(trajectory.arrays[control])
    return np.concatenate([t[:, None], qd, q, motion, integrate(t, force)], axis=1)
