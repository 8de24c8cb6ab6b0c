from typing import Literal

from ..data import TrajectorySet, recorded_accelerations
from ..mechanics import Coordinates
from ._losses import Accelerations


def accelerations(
    trajectories: TrajectorySet,
    coordinates: Coordinates,
    *,
    control: Literal["action", "tau"] | None = None,
) -> Accelerations:
    """Collect the recorded states, actions and accelerations of trajectories.

    The result is the data of [`lagdyna.learners.ForwardLoss`][] and
    [`lagdyna.learners.InverseLoss`][].

    **Arguments:**

    - `trajectories`: recordings with `qd` and `qdd`.
    - `coordinates`: which coordinates are angles. Angles are wrapped.
    - `control`: the recorded column to use as the action. `None` (the default) uses `action`
        if it was recorded, else `tau`, else an action of size 0. Use `tau` for a model whose
        actuation is the identity.

    **Returns:** an [`lagdyna.learners.Accelerations`][] with one leading axis.

    **Raises:** [`lagdyna.data.DataError`][] if one of these columns is missing. Without
    `qdd`, use a loss through the solver, say [`lagdyna.learners.OneStepLoss`][].
    """
    return Accelerations(*recorded_accelerations(trajectories, coordinates, control=control))
