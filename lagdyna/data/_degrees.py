import warnings

import numpy as np

from ..mechanics import Coordinates
from ._trajectory import TrajectorySet

_SPAN = 4 * np.pi


class DegreesWarning(UserWarning):
    """An angle looks as if it were recorded in degrees."""


def warn_if_degrees(trajectories: TrajectorySet, coordinates: Coordinates, source: str) -> None:
    """Warns of angles whose values make sense in degrees and hardly in radians.

    A range alone does not tell: a wheel that spins is recorded in many turns. So an angle
    whose values span more than two turns, taken as radians, is suspected if besides

    - it moves by more than half a turn between two samples, which sampling that is fast
      enough never shows, unless the angle is wrapped, and then its span is one turn; or
    - nine values in ten are whole numbers; or
    - it swings: within 360 of zero, it goes from the lowest quarter of its span to the
      highest and back, at least three crossings in one trajectory.

    Swings of less than 12.6 degrees, and smooth slow turning in one direction, pass
    unnoticed.

    **Arguments:**

    - `trajectories`: what was read.
    - `coordinates`: which coordinates are angles.
    - `source`: what the warning calls the data.
    """
    for column, angle in enumerate(coordinates.angles):
        reason = _reason([x.q[:, column] for x in trajectories]) if angle else None
        if reason is not None:
            warnings.warn(
                f"{source}: column q{column} is an angle and {reason}, which looks like "
                "degrees; radians are accepted, `numpy.deg2rad` converts",
                DegreesWarning,
                stacklevel=3,
            )


def _reason(series: list[np.ndarray]) -> str | None:
    values = np.concatenate(series)
    low, high = float(values.min()), float(values.max())
    if high - low <= _SPAN:
        return None
    spans = f"spans {low:.4g} to {high:.4g}"
    fastest = max(float(np.abs(np.diff(x)).max()) for x in series)
    if fastest > np.pi:
        return f"{spans} with steps of up to {fastest:.4g}"
    if np.mean(values == np.round(values)) > 0.9:
        return f"{spans} in whole numbers"
    if max(abs(low), abs(high)) <= 360 and max(_crossings(x) for x in series) >= 3:
        return f"swings, {spans}"
    return None


def _crossings(x: np.ndarray) -> int:
    """How often `x` goes from its lowest quarter to its highest or back."""
    low, span = x.min(), np.ptp(x)
    if span <= _SPAN:
        return 0
    side = np.where(x < low + span / 4, -1, np.where(x > low + 3 * span / 4, 1, 0))
    side = side[side != 0]
    return int(np.count_nonzero(np.diff(side)))
