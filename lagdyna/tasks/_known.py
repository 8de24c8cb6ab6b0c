from ..mechanics import Coordinates, FixedActuation, MechanicalSystem
from ..systems import Pendulum
from ._spec import TaskSpec
from .suite import suite_name, suite_task


def known_equations(spec: TaskSpec) -> MechanicalSystem | None:
    """Return the known equations of motion of a task.

    They are available for the rigid-body suite and for Gymnasium's `Pendulum-v1`. They do not
    include the velocity clipping of `Pendulum-v1`. Models with known physics use them. Tasks
    with wrappers, or with other arguments of `gymnasium.make` than `g`, have none.

    **Returns:** the system, or `None` for any other task.
    """
    name = suite_name(spec)
    if name is not None:
        return suite_task(name).system
    arguments = dict(spec.make or {})
    gravity = float(arguments.pop("g", 10.0))
    if spec.env_id == "Pendulum-v1" and spec.n == 1 and not arguments and not spec.wrappers:
        return MechanicalSystem(
            Pendulum.rod(gravity=gravity), Coordinates((True,)), FixedActuation(spec.force)
        )
    return None
