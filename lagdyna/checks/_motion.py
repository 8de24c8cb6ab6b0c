"""Coordinates that do not move, or that wrap without being declared angles."""

import math

import numpy as np

from ..data import Trajectory, TrajectorySet, estimate_noise, find_degrees
from ..mechanics import Coordinates
from ._finding import Finding
from ._increments import unwrap

_TURNS = {2 * math.pi: "2 pi", 360.0: "360"}


def motion_findings(trajectories: TrajectorySet, coordinates: Coordinates) -> list[Finding]:
    """Find angles in degrees, undeclared angles, and coordinates at rest."""
    found = [Finding(text) for text in find_degrees(trajectories, coordinates)]
    for i, angle in enumerate(coordinates.angles):
        turn = None if angle else _turn([x.q[:, i] for x in trajectories])
        if turn is not None:
            radians = "" if turn < 7 else ", and in degrees, where radians are expected"
            found.append(
                Finding(
                    f"q{i} jumps by nearly {_TURNS[turn]} between rows: an angle that is not "
                    f"named in `data.angles`{radians}?"
                )
            )
    still = [i for i in range(trajectories.n) if _is_still(trajectories, coordinates, i)]
    if len(still) == trajectories.n:
        found.append(Finding("the system is at rest: no coordinate moves beyond its noise"))
    else:
        found += [Finding(f"q{i} never moves beyond its noise") for i in still]
    return found


def _turn(series: list[np.ndarray]) -> float | None:
    """Find the full turn by which a wrapped coordinate jumps."""
    values = np.concatenate(series)
    steps = np.abs(np.concatenate([np.diff(x) for x in series]))
    for turn in _TURNS:
        jumps = steps > 0.8 * turn
        smooth = steps[~jumps]
        if (
            jumps.any()
            and np.ptp(values) <= 1.01 * turn
            and len(smooth) > 4 * np.count_nonzero(jumps)
            and np.quantile(smooth, 0.95) < 0.25 * turn
            and smooth.max() < 0.5 * turn
            and np.abs(steps[jumps] - turn).max() <= 4 * smooth.max() + 1e-3
        ):
            return turn
    return None


def _is_still(trajectories: TrajectorySet, coordinates: Coordinates, i: int) -> bool:
    """Whether a coordinate varies by no more than white noise, in all trajectories."""
    series = [unwrap(x.q, coordinates)[:, i] for x in trajectories]
    if max(float(np.ptp(x)) for x in series) == 0:
        return True
    if min(len(x) for x in series) < 20:  # too few rows to tell noise from coarse sampling
        return False
    lone = TrajectorySet(
        [Trajectory(each.t, x) for each, x in zip(trajectories, series, strict=True)]
    )
    (noise,) = estimate_noise(lone, Coordinates((False,)))
    return max(float(np.std(x)) for x in series) < 1.2 * float(noise)
