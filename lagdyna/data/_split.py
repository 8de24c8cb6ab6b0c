import itertools
import math
import warnings
from typing import NamedTuple

import numpy as np

from ._data_error import DataError
from ._trajectory import TrajectorySet

_PIECES = 10
_TOLERANCE = 0.15  # accepted distance of the share of validation data from what was asked


class SplitWarning(UserWarning):
    """Warning that training and validation data come from the same trajectories."""


class Split(NamedTuple):
    """Training and validation sets without common trajectories.

    **Attributes:**

    - `training`: a [`lagdyna.data.TrajectorySet`][].
    - `validation`: a [`lagdyna.data.TrajectorySet`][].
    """

    training: TrajectorySet
    validation: TrajectorySet


def split(trajectories: TrajectorySet, validation: float = 0.2, *, seed: int = 0) -> Split:
    """Split trajectories randomly into training and validation sets.

    The function draws whole trajectories, so that the duration of the validation set comes
    close to the fraction. Neighbouring rows are nearly equal, so a split by rows would not
    measure generalisation.

    If whole trajectories miss the fraction by more than 0.15 or by half of it, the function
    cuts long ones in time into pieces, a tenth of the total duration each, and warns with a
    [`lagdyna.data.SplitWarning`][]: pieces of one motion resemble each other more than
    separate motions do. A single trajectory is cut so, too.

    **Arguments:**

    - `trajectories`: the trajectories to split.
    - `validation`: fraction of the duration for validation, between 0 and 1. Each set gets
        at least one trajectory.
    - `seed`: random seed. The same seed gives the same split.

    **Returns:** a [`lagdyna.data.Split`][]. Each set keeps the original order.

    **Raises:** [`lagdyna.data.DataError`][] if `validation` is not between 0 and 1, or if
    a single trajectory has fewer than 4 rows.
    """
    if not 0 < validation < 1:
        raise DataError(f"`validation` was {validation}; a number between 0 and 1 is accepted")
    drawn = _draw(trajectories, validation, seed) if len(trajectories) > 1 else []
    if not _is_close(share := _share(trajectories, drawn), validation):
        pieces = _cut_in_time(trajectories)
        again = _draw(pieces, validation, seed)
        closer = abs(_share(pieces, again) - validation) < abs(share - validation)
        if not drawn or closer:
            _warn_of_cut(trajectories, pieces, share, validation)
            trajectories, drawn = pieces, again
    return Split(
        TrajectorySet([x for i, x in enumerate(trajectories) if i not in drawn]),
        TrajectorySet([x for i, x in enumerate(trajectories) if i in drawn]),
    )


def _draw(trajectories: TrajectorySet, validation: float, seed: int) -> list[int]:
    """Draw the indices of at least one trajectory, and not of all, for validation."""
    durations, count = _durations(trajectories), len(trajectories)
    order = np.random.default_rng(seed).permutation(count).tolist()
    if durations.max() <= 1.05 * durations.min():
        return order[: min(max(round(validation * count), 1), count - 1)]
    target, total, drawn = validation * durations.sum(), 0.0, []
    for limit in (1.25 * target, math.inf):  # long ones come last
        for i in order:
            after = total + durations[i]
            closer = abs(after - target) < abs(total - target)
            if i not in drawn and len(drawn) < count - 1 and closer and after <= limit:
                drawn.append(i)
                total = after
    return drawn or [int(np.argmin(durations))]


def _durations(trajectories: TrajectorySet) -> np.ndarray:
    return np.array([x.t[-1] - x.t[0] for x in trajectories])


def _share(trajectories: TrajectorySet, drawn: list[int]) -> float:
    """Compute the fraction of the total duration that was drawn."""
    durations = _durations(trajectories)
    return float(durations[drawn].sum() / durations.sum())


def _is_close(share: float, validation: float) -> bool:
    """Whether a fraction of validation data is close to the one that was asked."""
    both_are_half = share >= validation / 2 and 1 - share >= (1 - validation) / 2
    return both_are_half and abs(share - validation) <= _TOLERANCE


def _cut_in_time(trajectories: TrajectorySet) -> TrajectorySet:
    """Cut trajectories into pieces of a tenth of the total duration, of two rows or more."""
    if len(trajectories) == 1 and trajectories[0].rows < 4:
        raise DataError(
            f"trajectory set: one trajectory of {trajectories[0].rows} rows cannot be split; "
            "at least two trajectories or four rows are needed"
        )
    durations, pieces = _durations(trajectories), []
    shares = durations / durations.sum()
    for x, share in zip(trajectories, shares, strict=True):
        count = min(max(round(_PIECES * float(share)), 1), x.rows // 2)
        edges = np.linspace(0, x.rows, count + 1).astype(int).tolist()
        pieces += [x.between(a, b) for a, b in itertools.pairwise(edges)]
    return TrajectorySet(pieces)


def _warn_of_cut(
    whole: TrajectorySet, pieces: TrajectorySet, share: float, validation: float
) -> None:
    """Warn that trajectories were cut in time."""
    if len(whole) == 1:
        text = f"the only trajectory was cut in time into {len(pieces)} pieces"
    else:
        text = (
            f"{len(whole)} trajectories were cut in time into {len(pieces)} pieces, since "
            f"{share:.0%} of the data would have been for validation, where {validation:.0%} "
            "were asked for"
        )
    warnings.warn(
        f"{text}, and the pieces were split between training and validation",
        SplitWarning,
        stacklevel=3,
    )
