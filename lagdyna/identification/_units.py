"""Natural units and usual masses of recordings."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ..data import TrajectorySet
from ..mechanics import Coordinates, Units
from ._inertia import Motion, usual_inertia

# Window of the momentum regression, in natural units of time.
_LAG = 2.0

# Rows that masses are estimated from, and bounds of a mass in natural units.
_ROWS, _MASSES = 20_000, (1e-4, 1e4)

# Bounds of the force of inertia over the recorded one: friction or gravity may take most of a
# force, and gravity may accelerate more than the recorded force does.
_SHARES = (0.05, 20.0)

# Smallest accepted ratio of the momentum estimate to the mass from a coordinate's own force.
_LEAST = 0.1


class Measured(NamedTuple):
    """Natural units of recordings, and the usual mass of each coordinate in SI units."""

    units: Units
    mass: tuple[float, ...]


def measure(
    trajectories: TrajectorySet,
    coordinates: Coordinates,
    dt: float,
    controls: list[Float[np.ndarray, "_ m"]],
    forces: list[Float[np.ndarray, "_ n"]] | None,
) -> Measured:
    """Measure natural units.

    The unit of time is `1 / omega` for an oscillation of frequency `omega`. A linear
    coordinate is measured by its standard deviation. The unit of energy follows from the
    masses. They come from changes of momentum; where these say nothing, from a regression of
    each force on its own acceleration.

    **Arguments:**

    - `trajectories`: recordings at equal steps of `dt` seconds, with velocities.
    - `controls`: control of each of them.
    - `forces`: generalised force of each of them; `None` if it is unknown.
    """
    n = coordinates.n
    q = np.concatenate([np.asarray(each.q, np.float64) for each in trajectories])
    qd = [np.asarray(each.arrays["qd"], np.float64) for each in trajectories]
    position, origin = _positions(q, coordinates)
    times = np.array([_time(qd, i, dt) for i in range(n)])
    moves = np.isfinite(times)
    times = np.where(moves, times, _mean(times[moves], dt))
    time = _mean(times, dt)
    masses = np.full(n, np.nan)
    if forces is not None:
        qdd = [
            np.asarray(each.arrays["qdd"], np.float64) if "qdd" in each.arrays else None
            for each in trajectories
        ]
        for i in map(int, np.flatnonzero(moves)):
            lag = max(1, round(0.3 * times[i] / dt))
            masses[i] = _mass(q, qd, qdd, forces, i, dt, lag, coordinates.angles[i])
        found = _inertia(trajectories, coordinates, forces, position, origin, time, dt)
        masses = np.where(found > _LEAST * masses, found, masses)
    known = np.isfinite(masses)
    # Without forces masses are known up to a factor; 1 kg, or 1 kg m^2, is as good as any.
    inertia = _mean((masses * position**2)[known], _mean(position, 1.0) ** 2)
    units = Units(
        time=time,
        energy=inertia / time**2,
        position=tuple(position.tolist()),
        origin=tuple(origin.tolist()),
        action=_action_units(controls),
    )
    unit = np.array(units.mass)
    natural = np.clip(np.where(known, masses / unit, 1.0), *_MASSES)
    return Measured(units, tuple((natural * unit).tolist()))


def _inertia(
    trajectories: TrajectorySet,
    coordinates: Coordinates,
    forces: list[Float[np.ndarray, "_ n"]],
    position: Float[np.ndarray, " n"],
    origin: Float[np.ndarray, " n"],
    time: float,
    dt: float,
) -> Float[np.ndarray, " n"]:
    """Estimate masses from changes of momentum, in SI units; see `usual_inertia`."""
    largest = max(np.max(np.abs(np.nan_to_num(each * position))) for each in forces)
    if not largest > 0:
        return np.full(coordinates.n, np.nan)
    motions = [
        Motion(
            (np.asarray(each.q, np.float64) - origin) / position,
            np.asarray(each.arrays["qd"], np.float64) * (time / position),
            force * position / largest,
        )
        for each, force in zip(trajectories, forces, strict=True)
    ]
    longest = max(len(each.q) for each in motions)
    lag = max(1, min(round(_LAG * time / dt), longest // 4))
    inertia = usual_inertia(motions, coordinates.angles, dt / time, lag)
    return inertia * largest * (time / position) ** 2


def _positions(
    q: Float[np.ndarray, "rows n"], coordinates: Coordinates
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Compute unit and origin of each coordinate; 1 and 0 for an angle."""
    angle = np.array(coordinates.angles)
    spread = np.std(q, axis=0)
    moving = ~angle & (spread > 0)
    spread = np.where(moving, spread, _mean(spread[moving], 1.0))
    return np.where(angle, 1.0, spread), np.where(angle, 0.0, np.mean(q, axis=0))


def _time(qd: list[Float[np.ndarray, "_ n"]], i: int, dt: float) -> float:
    """Compute the time scale of a velocity from its structure function.

    The root mean square of `qd(t + lag) - qd(t)` reaches the standard deviation of `qd` at a
    lag of a sixth of a period. Unlike a ratio of derivatives, this hardly depends on noise.

    **Returns:** `nan` if the velocity is constant.
    """
    x = [each[:, i] for each in qd]
    # Within trajectories, since some may turn round at a speed of their own.
    spread = np.std(np.concatenate([each - each.mean() for each in x]))
    if not spread > 1e-9 * max(1e-300, np.max(np.abs(np.concatenate(x)))):
        return np.nan
    longest = max(len(each) for each in x) - 1
    lags = np.unique(np.round(np.geomspace(1, longest, 40)).astype(int))
    before, size = 0, 0.0
    for lag in lags:
        changes = np.concatenate([each[lag:] - each[:-lag] for each in x if len(each) > lag])
        now = float(np.sqrt(np.mean(changes**2)))
        if now >= spread:
            share = (spread - size) / (now - size)
            return 3 / np.pi * dt * (before + share * (lag - before))
        before, size = int(lag), now
    return 3 / np.pi * dt * before


def _mass(
    q: Float[np.ndarray, "rows n"],
    qd: list[Float[np.ndarray, "_ n"]],
    qdd: list[Float[np.ndarray, "_ n"] | None],
    forces: list[Float[np.ndarray, "_ n"]],
    i: int,
    dt: float,
    lag: int,
    angle: bool,
) -> float:
    """Estimate the mass that a force accelerates, beside gravity, springs and friction.

    **Arguments:** `lag`, rows on each side that a missing acceleration is taken over.

    **Returns:** `nan` if there is no force or no acceleration.
    """
    columns, start = [], 0
    for velocity, acceleration, force in zip(qd, qdd, forces, strict=True):
        rows = slice(start, start + len(velocity))
        start += len(velocity)
        if acceleration is None:
            if len(velocity) <= 2 * lag:
                continue
            slope = (velocity[2 * lag :, i] - velocity[: -2 * lag, i]) / (2 * lag * dt)
            inner = slice(lag, -lag)
        else:
            slope, inner = acceleration[:, i], slice(None)
        columns.append(
            np.stack([force[inner, i], slope, velocity[inner, i], q[rows][inner, i]])
        )
    if not columns:
        return np.nan
    together = np.concatenate(columns, axis=1)
    together = together[:, np.all(np.isfinite(together), axis=0)]
    together = together[:, :: max(1, together.shape[1] // _ROWS)]
    tau, slope, velocity, position = together
    positions = [np.cos(position), np.sin(position)] if angle else [position]
    features = np.stack([slope, velocity, *positions, np.ones_like(tau)], axis=1)
    size = np.max(np.abs(features), axis=0, initial=0.0)
    largest, strength = np.max(np.abs(slope), initial=0.0), np.max(np.abs(tau), initial=0.0)
    if largest == 0 or strength == 0:
        return np.nan
    size = np.where(size > 0, size, 1.0)
    found = np.linalg.lstsq(features / size, tau / strength, rcond=1e-9)[0][0]
    whole = np.std(tau / strength) / np.std(slope / largest)
    # A force that never changes, or an acceleration, says nothing about the mass.
    if not (np.isfinite(whole) and 1e-9 < whole < 1e9):
        return np.nan
    share = float(np.clip(found / whole, *_SHARES))
    return float(share * whole * strength / largest)


def _action_units(controls: list[Float[np.ndarray, "_ m"]]) -> tuple[float, ...]:
    """Compute the root mean square of each control; 1 for one that is always 0."""
    together = np.concatenate(controls).astype(np.float64)
    together = together[np.all(np.isfinite(together), axis=1)]
    largest = np.max(np.abs(together), axis=0, initial=0.0)
    rms = largest * np.sqrt(
        np.mean((together / np.where(largest > 0, largest, 1)) ** 2, axis=0)
    )
    return tuple(np.where(largest > 0, rms, 1.0).tolist())


def _mean(values: Float[np.ndarray, " k"], otherwise: float) -> float:
    """Compute the geometric mean; `otherwise` without any value."""
    return float(np.exp(np.mean(np.log(values)))) if len(values) else float(otherwise)
