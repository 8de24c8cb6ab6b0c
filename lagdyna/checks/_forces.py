"""Recorded forces and actions that do not go with the motion."""

from typing import Literal

import numpy as np

from ..data import Trajectory, TrajectorySet
from ..mechanics import Coordinates
from ._finding import Finding
from ._increments import integrate, unwrap, windows

_RIDGE = 1e-4  # of the mean square of a regressor; keeps nearly equal ones apart
_UNEXPLAINED = 0.1  # share of the variance; less is chance


def force_findings(
    trajectories: TrajectorySet, coordinates: Coordinates, control: Literal["tau", "action"]
) -> list[Finding]:
    """Find forces or actions that are constant, too large, or go with no motion.

    Impulses are regressed on what forces do: changes of velocities and positions, and the
    integrals of positions, of their sines and cosines and of the directions of motion. Coupling
    between coordinates is not among them, so only the force of a single coordinate is said to
    go with no motion.
    """
    columns = np.concatenate([each.arrays[control] for each in trajectories])
    columns = columns[~np.isnan(columns).any(axis=1)]
    found = []
    if control == "action":
        found += [_too_large(f"action{i}", x) for i, x in enumerate(columns.T) if _is_large(x)]
    if not columns.any():
        return [*found, Finding(f"{control} is 0 in every row: only free motion is learned")]
    series = [_columns(each, coordinates, control) for each in trajectories]
    # Coordinates that are coupled accelerate each other more than a force may.
    explained = _explained(series, coordinates.n) if coordinates.n == 1 else None
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
    if control == "tau":
        found += [
            Finding(f"tau{i} falls as the acceleration of q{i} grows: the other sign?")
            for i in _negative_masses(series, coordinates.n)
        ]
    return found


def _is_large(action: np.ndarray) -> bool:
    return bool(np.abs(action).max() > 1 + 1e-6)


def _too_large(name: str, action: np.ndarray) -> Finding:
    return Finding(
        f"{name} reaches {np.abs(action).max():.4g}, and actions of lagdyna lie in [-1, 1]: a "
        "force in N or N m? call it tau if so"
    )


def _explained(series: list[np.ndarray], n: int) -> np.ndarray | None:
    """Compute the share of each impulse's variance that the motion explains.

    It is that of rows that the regression has not seen, at the best length of windows, and
    with the motion of all coordinates or of the force's own; `None` without enough rows.
    """
    width, best = 1 + 6 * n, None
    for increments in windows(series):
        x, y = _normalise(increments[:, :width]), increments[:, width:]
        found = [_share(x, y)] if len(x) > 4 * width else []
        if y.shape[1] == n and len(x) > 4 * 7:
            own = [x[:, [0, *range(1 + i, width, n)]] for i in range(n)]
            parts = [_share(each, y[:, [i]]) for i, each in enumerate(own)]
            found.append(np.concatenate(parts))
        for each in found:
            best = each if best is None else np.fmax(best, each)
    return best


def _share(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Cross-validate a regression on alternating tenths of the rows."""
    fold, left = np.arange(len(x)) * 10 // len(x) % 2, np.zeros(y.shape[1])
    for part in (0, 1):
        weights = _inverse(x[fold == part]) @ x[fold == part].T @ y[fold == part]
        left += np.sum((y - x @ weights)[fold != part] ** 2, axis=0)
    return 1 - left / np.maximum(np.sum(y**2, axis=0), np.finfo(float).tiny)


def _negative_masses(series: list[np.ndarray], n: int) -> list[int]:
    """Find coordinates whose force falls as their acceleration grows, beyond doubt."""
    width, clear = 1 + 6 * n, np.zeros(n)
    for increments in windows(series):
        x, y = _normalise(increments[:, :width]), increments[:, width:]
        if len(x) <= 4 * width:
            break
        inverse = _inverse(x)
        weights = np.diag((inverse @ x.T @ y)[1 : 1 + n])
        # The share of the variance that only the acceleration explains, with its sign.
        alone = weights * np.abs(weights) / np.diag(inverse)[1 : 1 + n]
        alone = alone / np.maximum(np.sum(y**2, axis=0), np.finfo(float).tiny)
        clear = np.where(np.abs(alone) > np.abs(clear), alone, clear)
    return np.flatnonzero(clear < -_UNEXPLAINED).tolist()


def _normalise(x: np.ndarray) -> np.ndarray:
    """Scale the columns of regressors to a root mean square of 1."""
    return x / np.maximum(np.sqrt(np.mean(x**2, axis=0)), np.finfo(float).tiny)


def _inverse(x: np.ndarray) -> np.ndarray:
    """Invert the regularised moments of regressors."""
    return np.linalg.inv(x.T @ x + _RIDGE * len(x) * np.eye(x.shape[1]))


def _columns(trajectory: Trajectory, coordinates: Coordinates, control: str) -> np.ndarray:
    """Collect the integrals of what forces do, and of the forces in the last columns."""
    t, q, qd = trajectory.t, unwrap(trajectory.q, coordinates), trajectory.arrays["qd"]
    position = np.where(np.asarray(coordinates.angles), 0, q)
    motion = integrate(t, np.concatenate([position, np.sin(q), np.cos(q), np.sign(qd)], axis=1))
    force = np.nan_to_num(trajectory.arrays[control])
    return np.concatenate([t[:, None], qd, q, motion, integrate(t, force)], axis=1)
