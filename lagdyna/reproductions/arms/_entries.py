"""Entries of `results.json`."""

import numpy as np

from .._entries import Entry, entry
from .._reproduction import Results

_HORIZONS = (("200ms", 0), ("500ms", 1), ("1s", 2))
_DIVERGED = "that diverged"


def arm_entries(results: Results, kind: str, name: str, note: str) -> list[Entry]:
    """Create the entries of a model of a simulated arm.

    **Arguments:** `name`, as `MODEL.ARM.VARIANT`; `note`, conditions of the measurement.
    """
    torque = results.stacked(kind, "torque_nmse")
    found = [
        _entry(f"torque_nmse.{name}", torque.max(axis=1), "", "worst joint", note),
        _entry(f"torque_nmse_mean.{name}", torque.mean(axis=1), "", "mean of joints", note),
    ]
    first = results.parts[kind][0]
    if "rollout" in first:
        rollout = results.stacked(kind, "rollout")
        for horizon, i in _HORIZONS:
            of = "rms error over the rms distance moved"
            found.append(_entry(f"rollout_{horizon}.{name}", rollout[:, i], "", of, note))
        median = results.stacked(kind, "rollout_median")[:, -1]
        of = "median of the windows' ratios"
        found.append(_entry(f"rollout_1s_median.{name}", median, "", of, note))
        worst = results.stacked(kind, "acceleration").max(axis=1)
        of = "worst joint, rms error over standard deviation"
        found.append(_entry(f"acceleration.{name}", worst, "", of, note))
        mass = results.stacked(kind, "mass_matrix")
        found.append(_entry(f"mass_matrix.{name}", mass, "", "relative error", note))
    seconds = results.stacked(kind, "seconds")
    return [*found, _entry(f"seconds.{name}", seconds, "s", "with compilation", note)]


def ur10_entries(results: Results, kind: str, model: str, note: str) -> list[Entry]:
    """Create the entries of a model of the UR10's recording."""
    torque, name = results.stacked(kind, "torque_nmse"), f"{model}.ur10_recording"
    seconds = results.stacked(kind, "seconds")
    return [
        _entry(f"torque_nmse.{name}", torque.mean(axis=1), "", "mean of joints", note),
        _entry(f"torque_nmse_worst.{name}", torque.max(axis=1), "", "worst joint", note),
        _entry(f"seconds.{name}", seconds, "s", "with compilation", note),
    ]


def pendulum_entries(results: Results, kind: str, model: str, note: str) -> list[Entry]:
    """Create the entries of a model of the double pendulum's recordings."""
    rollout = results.stacked(kind, "rollout")[:, -1]
    name = f"{model}.double_pendulum_recording"
    found = [_entry(f"rollout_500ms.{name}", rollout.mean(axis=1), "rad", "mean", note)]
    for i, joint in enumerate(("shoulder", "elbow")):
        found.append(_entry(f"rollout_500ms.{name}.{joint}", rollout[:, i], "rad", "", note))
    seconds = results.stacked(kind, "seconds")
    return [*found, _entry(f"seconds.{name}", seconds, "s", "with compilation", note)]


def _entry(name: str, values: np.ndarray, unit: str, what: str, note: str) -> Entry:
    note = "; ".join(each for each in (what, note) if each)
    return entry(name, values, unit, note=note, missing=_DIVERGED)
