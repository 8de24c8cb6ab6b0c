"""Increments and integrals of columns over windows of time.

Comparing increments with integrals needs no derivative, so noise is averaged, not amplified.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import scipy

from ..mechanics import Coordinates

MIN_WINDOWS = 12
_MAX_WINDOWS = 20_000


class Relation(NamedTuple):
    """Factor between two columns of increments.

    **Attributes:**

    - `factor`: of the second column over the first, with its sign.
    - `low`, `high`: magnitudes between which the factor lies, however the noise is shared
        between both columns (Frisch's bounds).
    - `correlation`: without the outliers.
    """

    factor: float
    low: float
    high: float
    correlation: float


def unwrap(q: np.ndarray, coordinates: Coordinates) -> np.ndarray:
    """Remove jumps by full turns from the angles of `q`, shape `(time, n)`."""
    return np.where(np.asarray(coordinates.angles), np.unwrap(q, axis=0), q)


def integrate(t: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Integrate the columns of `x` from the first time to each of the times `t`."""
    return scipy.integrate.cumulative_trapezoid(x, t, axis=0, initial=0.0)


def windows(series: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield increments of the columns over windows of 1, 2, 4, ... rows, of all series."""
    length = 1
    while True:
        parts = [np.diff(x[::length], axis=0) for x in series]
        found = np.concatenate(parts)
        if len(found) < MIN_WINDOWS:
            return
        yield found[:: len(found) // _MAX_WINDOWS + 1]
        length *= 2


def relate(x: np.ndarray, y: np.ndarray) -> Relation | None:
    """Find the factor `y / x` of two columns of increments; robust to outliers.

    **Returns:** the relation, or `None` if chance explains it.
    """
    moving = np.abs(x) >= max(float(np.median(np.abs(x))), np.finfo(float).tiny)
    if not moving.any() or not y.any():
        return None
    slope = np.median(y[moving] / x[moving])
    distance = np.abs(y - slope * x)
    inlier = distance <= 9 * np.median(distance) + 1e-9 * np.abs(y).max()
    if np.mean(inlier) < 0.8:
        inlier[:] = True
    x, y = x[inlier], y[inlier]
    size_x, size_y = float(np.linalg.norm(x)), float(np.linalg.norm(y))
    if len(x) < MIN_WINDOWS or size_x == 0 or size_y == 0:
        return None
    correlation = float((x / size_x) @ (y / size_y))
    r = min(abs(correlation), 1 - 1e-12)
    if np.arctanh(r) * np.sqrt(len(x) - 3) < 5.5:
        return None
    ratio = size_y / size_x
    return Relation(float(np.sign(correlation)) * ratio, ratio * r, ratio / r, correlation)


def best_relation(series: list[np.ndarray]) -> Relation | None:
    """Find the relation of two columns at the window length where it is closest.

    Increments are also compared without their mean, which removes a constant offset.
    """
    found: list[Relation] = []
    for increments in windows(series):
        for each in (increments, increments - increments.mean(axis=0)):
            relation = relate(each[:, 0], each[:, 1])
            found += [] if relation is None else [relation]
    return max(found, key=lambda each: abs(each.correlation), default=None)
