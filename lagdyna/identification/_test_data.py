"""Recordings that a fit is tested on, and checks that they are of the same system."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .._errors import UserError
from ..config import DataConfig
from ..data import TrajectorySet, difference

if TYPE_CHECKING:
    from ._data import PreparedData

_UNITS = 20.0  # ratio of spreads from which units are said to differ
_SAME = 0.5  # fraction of equal rows from which recordings are said to be the same


class Unseen(NamedTuple):
    """Recordings that are neither learned from nor used to choose anything.

    **Attributes:** `raw`, trajectories at their recorded times; `steps`, at equal steps.
    """

    raw: TrajectorySet
    steps: TrajectorySet


def in_order(
    trajectories: TrajectorySet, joints: Sequence[str] | None, title: str
) -> TrajectorySet:
    """Bring the coordinates into the order of `joints`.

    **Arguments:** `title`, the name of the recordings in messages.

    **Raises:** `UserError` if the trajectories have joints of other names.
    """
    found = trajectories.joints
    if joints is None or found is None or found == tuple(joints):
        return trajectories
    if set(found) != set(joints):
        raise UserError(
            f"{title} has the joints {', '.join(found)}, and the recordings that are learned "
            f"from have {', '.join(joints)}; the same joints are accepted"
        )
    return TrajectorySet([each.of_joints(joints) for each in trajectories])


def check_test(data: DataConfig, learned: "PreparedData", test: "PreparedData") -> list[str]:
    """Check that test data are of the same system, in the same units, and other data.

    **Returns:** notes about what is doubtful.

    **Raises:** `UserError` if they are not.
    """
    title, given = data.title, data.test if isinstance(data.test, str) else "the test data"
    told = difference(learned.raw.training, test.raw.training)
    if told is not None or learned.control != test.control:
        told = told or (f"the control {learned.control}", f"the control {test.control}")
        raise UserError(
            f"`data.test`: {given} has {told[1]}, and {title} has {told[0]}; the same columns "
            "are accepted"
        )
    before, after = (_rows(x) for x in (learned, test))
    shared = len(np.intersect1d(before, after))
    if shared > _SAME * len(after):
        raise UserError(
            f"`data.test`: {shared} of {len(after)} rows of {given} are in {title} too; a "
            "recording that is not learned from is accepted"
        )
    ratios = {name: _ratio(name, learned, test) for name in ("q", "qd", "tau")}
    # Positions and velocities of other units differ alike. Weak torques may be free motion.
    moved = sorted((ratios["q"], ratios["qd"]), key=lambda x: abs(np.log(x)))[0]
    for name, ratio in (("q", moved), ("tau", ratios["tau"])):
        far = ratio > _UNITS or (name == "q" and ratio < 1 / _UNITS)
        if far and not data.unchecked:
            raise UserError(
                f"`data.test`: {name} of {given} spreads {ratio:.3g} times as far as that of "
                f"{title}, as in other units; convert one of them, or set `data.unchecked`"
            )
    if ratios["tau"] < 1 / _UNITS:
        return [f"tau of {given} spreads {ratios['tau']:.3g} times as far as that of {title}"]
    return []


def _rows(data: "PreparedData") -> np.ndarray:
    """Collect the different rows of positions and controls, each as one value."""
    trajectories = [each for part in data.raw for each in part]
    columns = [
        np.concatenate([each.arrays[name] for each in trajectories])
        for name in ("q", data.control)
        if name is not None
    ]
    table = np.ascontiguousarray(np.concatenate(columns, axis=1) + 0.0)
    return np.unique(table.view(np.dtype((np.void, table.dtype.itemsize * table.shape[1]))))


def _ratio(name: str, learned: "PreparedData", test: "PreparedData") -> float:
    """Compare the spread of an array: that of the test data over that of the others."""
    if name not in learned.raw.training.fields:
        return 1.0
    spreads = [
        np.std(np.concatenate([each.arrays[name] for each in data.raw.training]), axis=0)
        for data in (learned, test)
    ]
    moving = (spreads[0] > 0) & (spreads[1] > 0)
    ratios = spreads[1][moving] / spreads[0][moving]
    return float(np.exp(np.mean(np.log(ratios)))) if len(ratios) else 1.0
