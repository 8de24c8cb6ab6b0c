"""Angles on the host, in float64: `Coordinates` works in JAX's precision."""

import numpy as np

from ..mechanics import Coordinates
from ._data_error import DataError


def check_count(n: int, coordinates: Coordinates) -> None:
    """Refuses coordinates that are not those of the data."""
    if n != coordinates.n:
        raise DataError(
            f"trajectory set: `q` has {n} columns where the system has {coordinates.n} "
            "coordinates; one column for each is accepted"
        )


def unwrapped(q: np.ndarray, coordinates: Coordinates) -> np.ndarray:
    """`q`, shape `(time, n)`, angles without the jumps by full turns."""
    angle = np.asarray(coordinates.angles)
    q = q.copy()
    q[:, angle] = np.unwrap(q[:, angle], axis=0)
    return q


def wrapped(q: np.ndarray, coordinates: Coordinates) -> np.ndarray:
    """`q`, angles in `(-pi, pi]`."""
    turns = np.ceil((q - np.pi) / (2 * np.pi))
    return q - np.where(np.asarray(coordinates.angles), 2 * np.pi * turns, 0)
