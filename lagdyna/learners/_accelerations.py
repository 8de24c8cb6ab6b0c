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
    """Recorded accelerations, for [`lagdyna.learners.ForwardLoss`][] and `InverseLoss`.

    **Arguments:**

    - `trajectories`: with `qd` and `qdd`.
    - `coordinates`: which coordinates are angles; they come out wrapped.
    - `control`: what the action is: by default `action` if it was recorded, else `tau`
        (for a model whose actuation is the identity), else nothing, an action of size 0.

    **Returns:** an [`lagdyna.learners.Accelerations`][] with one leading axis.

    **Raises:** [`lagdyna.data.DataError`][] if one of these is missing. Without `qdd`,
    learn with losses through the solver.
    """
    return Accelerations(*recorded_accelerations(trajectories, coordinates, control=control))
