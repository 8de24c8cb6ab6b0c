"""Columns that contradict each other: positions, velocities, accelerations and times."""

import math

import numpy as np

from ..data import Trajectory, TrajectorySet, estimate_noise
from ..mechanics import Coordinates
from ._finding import Finding
from ._increments import Relation, best_relation, integrate
from ._units import guess

_WRONG = 3.0  # times; more is no measurement error
_DOUBTFUL = 1.2
_CLEAR = 0.8  # correlation of two columns that go together
_CLOCKS = {1e3: "milliseconds", 1e6: "microseconds", 1e9: "nanoseconds"}


def contradictions(trajectories: TrajectorySet, coordinates: Coordinates) -> list[Finding]:
    """Compare the derivative of `q` with `qd`, and that of `qd` with `qdd`.

    The increments of a column are compared with the integrals of its derivative, over the
    windows of time in which they agree best. Arrays that were not recorded are skipped.
    """
    fields = trajectories.fields
    rates: list[Relation | None] = [None] * trajectories.n
    found: list[Finding] = []
    if "qd" in fields:
        rates = [_rate(trajectories, i) for i in range(trajectories.n)]
        clock = _clock(rates)
        if clock is not None:
            return [clock]
        for i, rate in enumerate(rates):
            found += (
                _swapped(trajectories, rate, i)
                or _compare(f"q{i}", f"qd{i}", rate, angle=coordinates.angles[i])
                or _unrelated(trajectories, rate, i)
            )
    if "qd" in fields and "qdd" in fields:
        for i, rate in enumerate(rates):
            change = best_relation(_series(trajectories, "qd", "qdd", i))
            if change is None or (rate is not None and _is_one(rate.factor * change.factor)):
                continue  # `qdd` fits `q`; `qd` alone is wrong, which was found above
            found += _compare(f"qd{i}", f"qdd{i}", change, angle=coordinates.angles[i])
    return found


def _is_one(factor: float) -> bool:
    return 1 / _DOUBTFUL < factor < _DOUBTFUL


def _series(
    trajectories: TrajectorySet,
    below: str,
    above: str,
    i: int,
    *,
    period: float | None = None,
    other: int | None = None,
) -> list[np.ndarray]:
    """Pair a column with the integral of the one that should be its derivative."""
    pairs = []
    for each in trajectories:
        x = each.arrays[below][:, i if other is None else other]
        x = x if period is None else np.unwrap(x, period=period)
        y = integrate(each.t, each.arrays[above][:, i])
        pairs.append(np.stack([x, y], axis=1))
    return pairs


def _rate(trajectories: TrajectorySet, i: int, other: int | None = None) -> Relation | None:
    """Relate a velocity to the derivative of a position, wrapped or not.

    Degrees would be torn apart by unwrapping them as radians, so the closest way counts.
    """
    found = [
        best_relation(_series(trajectories, "q", "qd", i, period=period, other=other))
        for period in (None, 2 * math.pi, 360.0)
    ]
    known = [each for each in found if each is not None]
    return max(known, key=lambda each: round(_strength(each), 3), default=None)


def _clock(rates: list[Relation | None]) -> Finding | None:
    """Blame `t` if all velocities are wrong by the same factor, that of a unit of time."""
    clear = [each for each in rates if each is not None and _strength(each) > _CLEAR]
    for factor, unit in _CLOCKS.items():
        if clear and all(0.95 < each.factor / factor < 1.05 for each in clear):
            return Finding(
                f"every velocity is {factor:g} times the derivative of its position: t in "
                f"{unit}?",
                True,
            )
    return None


def _compare(x: str, y: str, relation: Relation | None, *, angle: bool) -> list[Finding]:
    """Describe a factor that is far from 1."""
    if relation is None or _strength(relation) < _CLEAR:
        return []
    factor, low, high = relation.factor, relation.low, relation.high
    if factor > 0 and low <= _DOUBTFUL and high >= 1 / _DOUBTFUL:
        return []
    wrong = factor < 0 or factor > _WRONG or factor < 1 / _WRONG
    unit = guess(x, y, factor, angle=angle)
    return [Finding(f"{y} is {factor:.3g} times the derivative of {x}{unit}", wrong)]


def _swapped(trajectories: TrajectorySet, rate: Relation | None, i: int) -> list[Finding]:
    """Find the other position whose derivative a velocity is."""
    own = _strength(rate)
    for j in range(trajectories.n):
        other = _rate(trajectories, i, j) if j != i and own < 0.9 else None
        if other is None or _strength(other) < max(0.95, own + 0.1):
            continue
        if _is_one(other.factor):
            text = f"qd{i} is the derivative of q{j}, not of q{i}: columns swapped?"
            return [Finding(text, True)]
    return []


def _unrelated(trajectories: TrajectorySet, rate: Relation | None, i: int) -> list[Finding]:
    """Find a velocity that goes with no motion of its position."""
    if _strength(rate) > 0.5 or not _exceeds_noise(trajectories, "q", i):
        return []
    velocity = np.concatenate([each.arrays["qd"][:, i] for each in trajectories])
    if np.ptp(velocity) == 0:
        return [Finding(f"qd{i} is {velocity[0] + 0.0:g} in every row, while q{i} moves", True)]
    if not _exceeds_noise(trajectories, "qd", i):
        return []
    return [Finding(f"qd{i} does not go with the derivative of q{i}")]


def _strength(relation: Relation | None) -> float:
    return 0.0 if relation is None else abs(relation.correlation)


def _exceeds_noise(trajectories: TrajectorySet, name: str, i: int) -> bool:
    """Whether a column varies by far more than its white noise."""
    series = [Trajectory(each.t, each.arrays[name][:, i]) for each in trajectories]
    (noise,) = estimate_noise(TrajectorySet(series), Coordinates((False,)))
    return max(float(np.std(each.q)) for each in series) > 5 * float(noise)
