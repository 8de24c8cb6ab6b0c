from typing import Literal

from ..data import TrajectorySet
from ..mechanics import Coordinates
from ._contradictions import contradictions
from ._finding import Finding
from ._forces import force_findings
from ._motion import motion_findings


def check_recordings(
    trajectories: TrajectorySet,
    coordinates: Coordinates,
    control: Literal["tau", "action"] | None = None,
) -> list[Finding]:
    """Check whether recordings are consistent with each other and with their units.

    The function looks for

    - columns that contradict each other: `qd` that is not the derivative of `q`, `qdd` that
        is not the derivative of `qd`, times in milliseconds. A factor is reported from 1.2,
        and is a contradiction from 3 or with the other sign. Measurement noise and constant
        offsets are allowed for.
    - angles in degrees, see [`lagdyna.data.warn_if_degrees`][], and wrapped coordinates
        that were not declared angles;
    - coordinates that never move;
    - forces or actions that are constant or go with no motion, and actions beyond [-1, 1].
        They are not looked at where columns contradict each other.

    **Arguments:**

    - `trajectories`: the recordings, without long pauses; see
        [`lagdyna.data.split_at_pauses`][].
    - `coordinates`: which coordinates are angles.
    - `control`: the array that drives the system, which is checked too.

    **Returns:** a list of [`lagdyna.checks.Finding`][], empty if nothing was found.
    """
    found = contradictions(trajectories, coordinates)
    found += motion_findings(trajectories, coordinates)
    contradict = any(each.contradiction for each in found)
    if control is not None and "qd" in trajectories.fields and not contradict:
        found += force_findings(trajectories, coordinates, control)
    return found
