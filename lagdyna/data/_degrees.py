import warnings

import numpy as np

from ..mechanics import Coordinates
from ._trajectory import TrajectorySet

_MIN_SPAN = 4 * np.pi  # rad; angles that span less are never suspected


class DegreesWarning(UserWarning):
    """Warning that an angle appears to be recorded in degrees."""


def warn_if_degrees(trajectories: TrajectorySet, coordinates: Coordinates, source: str) -> None:
    """Warn about angles that appear to be recorded in degrees.

    A wide range alone is no evidence, because a spinning wheel covers many turns. The
    function warns if the values span more than two turns, read as radians, and one of the
    following holds:

    - The angle moves by more than half a turn between two samples. Sufficiently fast
      sampling shows such steps only for wrapped angles, which span one turn.
    - More than nine values in ten are whole numbers.
    - The angle swings. All values lie within 360 of zero, and in one trajectory the angle
      crosses at least three times between the lowest and the highest quarter of its span.

    Swings of less than 12.6 degrees and slow, smooth rotation in one direction are not
    detected.

    **Arguments:**

    - `trajectories`: the recordings.
    - `coordinates`: which coordinates are angles.
    - `source`: name of the data in the warning.
    """
    for text in find_degrees(trajectories, coordinates):
        warnings.warn(f"{source}: {text}", DegreesWarning, stacklevel=3)


def find_degrees(trajectories: TrajectorySet, coordinates: Coordinates) -> list[str]:
    """Describe angles that appear to be recorded in degrees.

    **Arguments:** as for [`lagdyna.data.warn_if_degrees`][], which says what is looked for.

    **Returns:** a sentence for each such angle.
    """
    found = []
    for column, angle in enumerate(coordinates.angles):
        reason = _reason_for_degrees([x.q[:, column] for x in trajectories]) if angle else None
        if reason is not None:
            found.append(
                f"column q{column} is an angle and {reason}, which looks like degrees; "
                "angles must be in radians, convert them with `numpy.deg2rad`"
            )
    return found


def _reason_for_degrees(series: list[np.ndarray]) -> str | None:
    """Describe why an angle appears to be in degrees, or return `None`."""
    values = np.concatenate(series)
    low, high = float(values.min()), float(values.max())
    if high - low <= _MIN_SPAN:
        return None
    spans = f"spans {low:.4g} to {high:.4g}"
    fastest = max(float(np.abs(np.diff(x)).max()) for x in series)
    if fastest > np.pi:
        return f"{spans} with steps of up to {fastest:.4g}"
    if np.mean(values == np.round(values)) > 0.9:
        return f"{spans} in whole numbers"
    if max(abs(low), abs(high)) <= 360 and max(_count_crossings(x) for x in series) >= 3:
        return f"swings, {spans}"
    return None


def _count_crossings(x: np.ndarray) -> int:
    """Count the crossings of `x` between the lowest and highest quarter of its span."""
    low, span = x.min(), np.ptp(x)
    if span <= _MIN_SPAN:
        return 0
    side = np.where(x < low + span / 4, -1, np.where(x > low + 3 * span / 4, 1, 0))
    side = side[side != 0]
    return int(np.count_nonzero(np.diff(side)))
