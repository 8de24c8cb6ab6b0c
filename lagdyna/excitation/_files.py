"""Files of an excitation: trajectory, figures and report."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..data import TrajectorySet, write
from ..results import BLUE, GREY, blank, finish, literal, new_directory, save, write_json
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
    n = trajectory.q.shape[1]
    figure = blank(8.0, 1.0 + 1.1 * n)
    panels = figure.subplots(n, 2, sharex=True, squeeze=False)
    for i, name in enumerate(trajectory.joints or ()):
        speed = limits.velocity[i]
        for axes, rows, low, high in (
            (panels[i, 0], trajectory.q, limits.lower[i], limits.upper[i]),
            (panels[i, 1], trajectory.qd, -speed, speed),
        ):
            assert rows is not None
            axes.plot(trajectory.t, rows[:, i], color=BLUE, lw=1.2)
            for end in (low, high):
                axes.axhline(end, color=GREY, lw=0.7, ls="--")
            finish(axes)
        panels[i, 0].set_ylabel(literal(name), fontsize=8)
    panels[0, 0].set_title("position / (rad or m), limits dashed", fontsize=9)
    panels[0, 1].set_title("velocity / (rad/s or m/s)", fontsize=9)
    for axes in panels[-1]:
        axes.set_xlabel("t / s")
    save(figure, path)
