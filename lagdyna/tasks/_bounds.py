"""Bounds of an environment's actions, and the forces between them."""

import math

from ..mechanics import FixedActuation

Bounds = tuple[tuple[float, float], ...]
Rows = tuple[tuple[float, ...], ...]


def check_bounds(bounds: Bounds | None, actions: int) -> None:
    """Refuse bounds that are not one pair of rising, finite numbers per action.

    **Raises:** `ValueError` if that is so.
    """
    if bounds is None:
        return
    if len(bounds) != actions:
        raise ValueError(
            f"`action_bounds` has {len(bounds)} entries for the {actions} columns of `force`; "
            "one pair (lowest, highest) per action is accepted"
        )
    for low, high in bounds:
        if not -math.inf < low < high < math.inf:
            raise ValueError(
                f"`action_bounds` has the pair ({low:g}, {high:g}); two finite numbers are "
                "accepted, the lowest action and then a higher one"
            )


def bounded_actuation(force: Rows, bounds: Bounds | None) -> FixedActuation:
    """Create the map from actions in `[-1, 1]^m` to generalised forces.

    An action of the environment is the middle of its bounds plus half their distance times the
    scaled action. Forces are proportional to it, so that bounds that are not symmetric about
    zero give an offset.

    **Arguments:**

    - `force`: generalised force of each action at its upper bound, or at its lower bound if the
        upper one is not above zero, a row per coordinate.
    - `bounds`: lowest and highest value of each action; `None` counts as symmetric.
    """
    if bounds is None or all(low == -high for low, high in bounds):
        return FixedActuation(force)
    # The bound at which an entry of `force` is given, and scaled actions in terms of it.
    named = [high if high > 0 else low for low, high in bounds]
    half = [(high - low) / 2 / at for (low, high), at in zip(bounds, named, strict=True)]
    middle = [(high + low) / 2 / at for (low, high), at in zip(bounds, named, strict=True)]
    matrix = tuple(tuple(f * h for f, h in zip(row, half, strict=True)) for row in force)
    offset = tuple(sum(f * c for f, c in zip(row, middle, strict=True)) for row in force)
    return FixedActuation(matrix, offset)
