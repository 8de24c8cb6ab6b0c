"""Natural units of a task."""

import math

from ..mechanics import Units
from ._spec import TaskSpec


def rounded_units(
    task: TaskSpec, speeds: tuple[float, ...], accelerations: tuple[float, ...]
) -> Units | None:
    """Choose natural units from the ranges and forces that a task states.

    Each of length, time and mass is rounded to a power of 100, so tasks near the size of a
    human are in SI units, and a task that is 100 times smaller is learned as well as they are.

    **Arguments:** `speeds`, `accelerations`, usual magnitudes of each coordinate.

    **Returns:** `None` if these are SI units.
    """
    positions = task.reach[0][: task.n]
    linear = [q for q, c in zip(positions, task.coordinates, strict=True) if c.kind != "angle"]
    length = _rounded(linear)
    time = _rounded([v / a for v, a in zip(speeds, accelerations, strict=True)])
    position = tuple(1.0 if c.kind == "angle" else length for c in task.coordinates)
    forces = [sum(abs(x) for x in row) for row in task.force]
    # The mass that each force accelerates as usual, as a mass times a squared unit of position.
    inertia = _rounded(
        [
            force / acceleration * unit**2
            for force, acceleration, unit in zip(forces, accelerations, position, strict=True)
            if force > 0
        ]
    )
    if length == time == inertia == 1:
        return None
    return Units(
        time=time,
        energy=inertia / time**2,
        position=position,
        origin=(0.0,) * task.n,
        action=(1.0,) * task.action_size,
    )


def _rounded(values: list[float]) -> float:
    """Round the geometric mean of some values to a power of 100; 1 without any."""
    if not values:
        return 1.0
    mean = sum(math.log10(value) for value in values) / len(values)
    return 100.0 ** round(mean / 2)
