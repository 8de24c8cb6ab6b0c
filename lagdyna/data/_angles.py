"""Angle wrapping on the host in float64, since `Coordinates` works in JAX's precision."""

import numpy as np

from ..mechanics import Coordinates
from ._data_error import DataError


def check_coordinate_count(n: int, coordinates: Coordinates) -> None:
    """Raise `DataError` if the data and `coordinates` differ in the number of coordinates."""
    if n != coordinates.n:
        raise DataError(
            f"trajectory set: `q` has {n} columns, but the system has {coordinates.n} "
            "coordinates; one column per coordinate is accepted"
        )


def unwrap(q: np.ndarray, coordinates: Coordinates) -> np.ndarray:
    """Remove jumps by full turns from the angles of `q`, shape `(time, n)`."""
    angle = np.asarray(coordinates.angles)
    q = q.copy()
    q[:, angle] = np.unwrap(q[:, angle], axis=0)
    return q


def wrap(q: np.ndarray, coordinates: Coordinates) -> np.ndarray:
    """Wrap the angles of `q` to `(-pi, pi]`."""
    turns = np.ceil((q - np.pi) / (2 * np.pi))
    return q - np.where(np.asarray(coordinates.angles), 2 * np.pi * turns, 0)
