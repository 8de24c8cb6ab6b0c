import dataclasses

from ..mechanics import Coordinates, FixedActuation, MechanicalSystem
from ..systems import Pendulum
from ._bounds import bounded_actuation
from ._spec import TaskSpec
from .suite import suite_name, suite_task


def known_equations(spec: TaskSpec) -> MechanicalSystem | None:
    """Return the known equations of motion of a task.

    They are available for the rigid-body suite and for Gymnasium's `Pendulum-v1`. They do not
    include the velocity clipping of `Pendulum-v1`. Models with known physics use them. Tasks
    with wrappers, or with other arguments of `gymnasium.make` than `g`, have none.

    **Returns:** the system, or `None` for any other task.
    """
    name = suite_name(dataclasses.replace(spec, max_episode_steps=None))
    if name is not None:
        return suite_task(name).system
    arguments = dict(spec.make or {})
    gravity = float(arguments.pop("g", 10.0))
    if spec.env_id == "Pendulum-v1" and spec.n == 1 and not arguments and not spec.wrappers:
        rod = Pendulum.rod(gravity=gravity)
        return MechanicalSystem(rod, Coordinates((True,)), spec.actuation)
    return None


def in_bounds(system: MechanicalSystem, spec: TaskSpec) -> MechanicalSystem:
    """Give the actuation of a system the offset of a task's action bounds.

    **Arguments:**

    - `system`: equations whose actuation is in the terms of `spec.force`. An actuation with an
        `offset`, or other than [`lagdyna.mechanics.FixedActuation`][], is kept.
    - `spec`: description of the environment, with `action_bounds` if they are not symmetric.
    """
    actuation = system.actuation
    if not isinstance(actuation, FixedActuation) or actuation.offset is not None:
        return system
    if spec.action_bounds is None or len(actuation.matrix[0]) != spec.action_size:
        return system  # another number of actions is refused where sizes are checked
    bounded = bounded_actuation(actuation.matrix, spec.action_bounds)
    return dataclasses.replace(system, actuation=bounded)
