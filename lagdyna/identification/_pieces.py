"""Pieces of recordings that a fit learns from, and notes about their sizes."""

import jax
import numpy as np
from jaxtyping import PyTree

from ..data import DataError, TrajectorySet, split_at_pauses

SMOOTHED_ROWS = 6  # that a quintic spline needs


def without_pauses(trajectories: TrajectorySet) -> tuple[TrajectorySet, list[str]]:
    """Split trajectories at pauses.

    **Returns:** the pieces, and a note if there are any pauses.
    """
    pieces = split_at_pauses(trajectories)
    if len(pieces) == len(trajectories) and pieces.rows == trajectories.rows:
        return trajectories, []
    longest = max(float(np.diff(each.t).max()) for each in trajectories)
    lost = trajectories.rows - pieces.rows
    alone = f"; {lost} rows between two pauses were left out" if lost else ""
    return pieces, [
        f"pauses of more than five usual steps, the longest of {longest:.6g} s, split the "
        f"data into {len(pieces)} trajectories{alone}"
    ]


def without_short(
    trajectories: TrajectorySet, dt: float, *, rows: int
) -> tuple[TrajectorySet, list[str]]:
    """Leave out trajectories that are too short, unless none are left.

    **Arguments:** `dt`, the duration that a trajectory needs; `rows`, the rows that it needs.

    **Returns:** the others, and a note if some were left out.

    **Raises:** `DataError` if none lasts `dt`.
    """
    lasting = [each for each in trajectories if each.t[-1] - each.t[0] >= dt * (1 - 1e-6)]
    if not lasting:
        longest = max(float(each.t[-1] - each.t[0]) for each in trajectories)
        raise DataError(
            f"`data.dt` was {dt:g}, but the longest trajectory lasts {longest:.4g} s; a "
            "`data.dt` of at most this duration is accepted"
        )
    kept = [each for each in lasting if each.rows >= rows] or lasting
    if len(kept) == len(trajectories):
        return trajectories, []
    result = TrajectorySet(kept)
    return result, [
        f"{len(trajectories) - len(kept)} of {len(trajectories)} trajectories, with "
        f"{trajectories.rows - result.rows} rows, were left out, since they are shorter than "
        f"{rows} rows or a step of {dt:.6g} s"
    ]


def size_notes(training: PyTree, validation: PyTree, rows: float, weights: PyTree) -> list[str]:
    """Describe training data that are few for the model or for its validation.

    **Arguments:** `training`, `validation`, with a leading axis; `rows`, distinct ones of the
    training data; `weights`, the parameters that are learned, shapes suffice.
    """
    notes, count = [], sum(int(np.prod(x.shape)) for x in jax.tree.leaves(weights))
    if rows < count:
        notes.append(
            f"the {rows:.0f} rows of training data are fewer than the {count} weights of the "
            "model; record more, or make `model.hidden` smaller"
        )
    learned, kept = (jax.tree.leaves(x)[0].shape[0] for x in (training, validation))
    if learned < kept:
        notes.append(
            f"the {learned} rows of training data are fewer than the {kept} of validation "
            "data; make `data.validation` smaller"
        )
    return notes
