from ..mechanics import Coordinates, FixedActuation, MechanicalSystem
from ..systems import Pendulum
from ._spec import TaskSpec
from .suite import suite_name, suite_task


def known_equations(spec: TaskSpec) -> MechanicalSystem | None:
    """The equations of motion of a task, where they are written down: those of the rigid-body
    suite and Gymnasium's `Pendulum-v1`, whose clipped velocity is not in them.

    For models that are told what a Lagrangian has to learn; `None` of any other task.
    """
    name = suite_name(spec)
    if name is not None:
        return suite_task(name).system
    if spec.env_id == "Pendulum-v1" and spec.n == 1:
        return MechanicalSystem(
            Pendulum.rod(), Coordinates((True,)), FixedActuation(spec.force)
        )
    return None
