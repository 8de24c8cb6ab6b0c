"""Prescribed motions: sums of sines, with exact velocities and accelerations."""

import numpy as np

from lagdyna.data import Trajectory, TrajectorySet
from lagdyna.mechanics import Coordinates


def angles(n: int) -> Coordinates:
    return Coordinates((True,) * n)


def motion(seed: int, n: int = 1, rows: int = 100, dt: float = 0.02) -> dict[str, np.ndarray]:
    """Arrays of `n` pendulums of 1 kg m^2 that swing independently under torques."""
    rng = np.random.default_rng(seed)
    t = np.arange(rows) * dt
    w = 2 * np.pi * rng.uniform(0.3, 1.6, (3, n))
    size, start = rng.uniform(0.2, 0.6, (3, n)), rng.uniform(0, 2 * np.pi, (3, n))
    phase = w * t[:, None, None] + start
    q = (size * np.sin(phase)).sum(1)
    qd = (size * w * np.cos(phase)).sum(1)
    qdd = -(size * w**2 * np.sin(phase)).sum(1)
    return {"t": t, "q": q, "qd": qd, "qdd": qdd, "tau": qdd + 9.81 * np.sin(q) + 0.3 * qd}


def recordings(n: int = 1, count: int = 6, seed: int = 0, **sizes: float) -> list[dict]:
    return [motion(seed + 100 * k, n, **sizes) for k in range(count)]  # pyright: ignore


def together(arrays: list[dict]) -> TrajectorySet:
    return TrajectorySet([Trajectory(**each) for each in arrays])
