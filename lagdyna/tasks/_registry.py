import difflib
from collections.abc import Mapping
from types import MappingProxyType

from ._spec import CoordinateSpec, TaskSpec

TASKS: Mapping[str, TaskSpec] = MappingProxyType(
    {
        "Pendulum-v1": TaskSpec(
            env_id="Pendulum-v1",
            coordinates=(
                CoordinateSpec(kind="angle", cos=0, sin=1, velocity=2, velocity_limit=8.0),
            ),
            dt=0.05,
            force=((2.0,),),
            target_return=-200.0,
            description="Gymnasium's pendulum: swing up and balance with weak torque.",
        ),
    }
)
"""The tasks that a name can stand for."""


def get_task(name: str) -> TaskSpec:
    """The task of that name, one of [`lagdyna.tasks.TASKS`][].

    **Raises:** `ValueError` for an unknown name, with the nearest known ones.
    """
    if name not in TASKS:
        near = difflib.get_close_matches(name, TASKS, n=3, cutoff=0.4)
        hint = f"nearest: {', '.join(near)}; " if near else ""
        raise ValueError(
            f"`task` was {name!r}, which is not a task; {hint}all: {', '.join(TASKS)}. "
            "Any other Gymnasium environment with continuous actions can be described "
            "in the `[task]` table of a config file"
        )
    return TASKS[name]
