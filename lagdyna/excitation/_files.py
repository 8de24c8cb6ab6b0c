"""Files of an excitation: trajectory, figures and report."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..data import TrajectorySet, write
from ..plot import excitation, save
from ..results import new_directory, write_json
from ._excite import Excitation

TRAJECTORY_FILES = ("trajectory.csv", "trajectory.npz")


def write_excitation(out: Path, found: Excitation) -> dict[str, Any]:
    """Write `trajectory.csv`, `trajectory.npz`, `excitation.json` and `excitation.png`.

    **Arguments:** `out`, a new or empty directory; `found`.

    **Returns:** the content of `excitation.json`.

    **Raises:** `UserError` if the directory holds anything.
    """
    out = new_directory(out)
    for name in TRAJECTORY_FILES:
        write(out / name, TrajectorySet([found.trajectory]))
    report = {
        "joints": list(found.trajectory.joints or ()),
        "seconds": found.motion.seconds,
        "base_parameters": found.base_parameters,
        "condition": found.condition,
        "random_condition": found.random_condition,
        "information": found.information,
        "position_share": _numbers(found.position_share),
        "velocity_share": _numbers(found.velocity_share),
        "torque_share": _numbers(found.torque_share),
        "centre": _numbers(found.motion.centre),
        "sine": [_numbers(x) for x in found.motion.sine],
        "cosine": [_numbers(x) for x in found.motion.cosine],
        "notes": list(found.notes),
    }
    _draw(out / "excitation.png", found)
    write_json(out / "excitation.json", report)
    return report


def _numbers(values: ArrayLike) -> list[float | None]:
    return [float(x) if np.isfinite(x) else None for x in np.asarray(values)]


def _draw(path: Path, found: Excitation) -> None:
    """Plot positions and velocities, with the limits."""
    trajectory, limits = found.trajectory, found.limits
    assert trajectory.qd is not None
    figure = excitation(
        trajectory.t,
        trajectory.q,
        trajectory.qd,
        lower=limits.lower,
        upper=limits.upper,
        speed=limits.velocity,
        joints=trajectory.joints,
    )
    save(figure, path)
