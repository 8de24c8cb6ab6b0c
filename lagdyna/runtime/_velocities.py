"""Velocities that are estimated from the positions of an episode."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ._reading import read_positions


class PositionHistory(NamedTuple):
    """Past of an episode that an estimate of velocities depends on; NaN before its start.

    **Attributes:** `position`, the last one of each coordinate without a measured velocity,
    rad and m; `change`, the last rate of change of these, rad/s and m/s; of shapes
    `(*batch, k)`.
    """

    position: Float[np.ndarray, "*batch k"]
    change: Float[np.ndarray, "*batch k"]


class VelocityEstimator:
    """Estimator of the velocities that a task does not measure.

    Each estimate depends on the positions of the same episode so far, and no others. With the
    differences `d_k = (q_k - q_(k-1)) / dt`, those of angles over the shorter way around the
    circle, the estimate is

    - `d_k` for `velocity_order = 1`;
    - `(3 d_k - d_(k-1)) / 2`, that is `(3 q_k - 4 q_(k-1) + q_(k-2)) / (2 dt)`, for
        `velocity_order = 2`. It is exact for constant acceleration.

    At the start of an episode it is `start_velocity`, or 0 where that is unknown. After the
    first step it is `d_1`, or `2 d_1 - start_velocity` for the second order. It is clipped at
    `velocity_limit`.

    **Arguments:** `reading`, as for [`lagdyna.runtime.read_positions`][].

    **Attributes:** `limit`, the largest magnitudes, `inf` for none, shape `(k,)`.
    """

    def __init__(self, reading: Any):
        self._reading = reading
        chosen = [c for c in reading.coordinates if c.velocity is None]
        self._chosen = np.array([c.velocity is None for c in reading.coordinates])
        self._angles = np.array([c.kind == "angle" for c in chosen])
        self._second = np.array([c.velocity_order != 1 for c in chosen])
        starts = [np.nan if c.start_velocity is None else c.start_velocity for c in chosen]
        self._start = np.array(starts, float)
        self.limit = np.array([c.velocity_limit or np.inf for c in chosen])

    def begin(self, batch: tuple[int, ...] = ()) -> PositionHistory:
        """Create the history of episodes that begin."""
        none = np.full((*batch, len(self.limit)), np.nan)
        return PositionHistory(none, none)

    def estimate(
        self, observation: Float[np.ndarray, "*batch obs"], history: PositionHistory
    ) -> tuple[Float[np.ndarray, "*batch k"], PositionHistory]:
        """Estimate the velocities at an observation, and remember its positions.

        **Arguments:** `observation`, as the environment returns it; `history`, from `begin` or
        the last call.
        """
        whole = read_positions(self._reading, np.asarray(observation, float))
        position = np.stack(whole, axis=-1)[..., self._chosen]
        change = position - history.position
        turned = np.arctan2(np.sin(change), np.cos(change))
        difference = np.where(self._angles, turned, change) / self._reading.dt
        known = np.isfinite(self._start)
        start = np.where(known, self._start, 0.0)
        after_first = np.where(self._second & known, 2 * difference - start, difference)
        later = np.where(self._second, 1.5 * difference - 0.5 * history.change, difference)
        velocity = np.where(np.isnan(history.change), after_first, later)
        velocity = np.where(np.isnan(history.position), start, velocity)
        remembered = PositionHistory(position, difference)
        return np.clip(velocity, -self.limit, self.limit), remembered
