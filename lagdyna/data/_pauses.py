"""Pauses: steps of time over which nothing was recorded."""

import numpy as np

PAUSE = 5.0
"""Usual steps that a longer step must exceed to be a pause.

A few lost samples are bridged well by the cubic interpolation of positions and velocities.
"""


def is_pause(t: np.ndarray) -> np.ndarray:
    """Find the steps between times that are pauses, shape `(len(t) - 1,)`.

    The usual step is the upper quartile of all steps. Steps of irregular sampling exceed
    five times their median often, and five times their upper quartile hardly ever.
    """
    with np.errstate(over="ignore"):
        steps = np.diff(t)
        if len(steps) < 2:
            return np.zeros(len(steps), bool)
        return steps > PAUSE * np.sort(steps)[3 * (len(steps) - 1) // 4]
