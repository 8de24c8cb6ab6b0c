import difflib
from collections.abc import Mapping
from types import MappingProxyType

import gymnasium as gym

from ._foreign import FOREIGN
from ._spec import CoordinateSpec, TaskSpec
from .suite import SUITE

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
        **FOREIGN,
        **{name: entry.spec for name, entry in SUITE.items()},
    }
)
"""The tasks that a name can stand for."""


def get_task(name: str) -> TaskSpec:
    """The task of that name, one of [`lagdyna.tasks.TASKS`][], or of that environment.

    **Raises:** `ValueError` for an unknown name, with the nearest known ones.
    """
    if name in TASKS:
        return TASKS[name]
    for task in TASKS.values():
        if task.env_id == name:
            return task
    known = f"all: {', '.join(TASKS)}"
    if name in gym.registry:
        actions = _action_space(name)
        if actions is not None and not isinstance(actions, gym.spaces.Box):
            raise ValueError(
                f"`task` was {name!r}, a Gymnasium environment whose actions are {actions}; "
                f"only continuous actions (a Box) are accepted; {known}"
            )
        raise ValueError(
            f"`task` was {name!r}, a Gymnasium environment that lagdyna has no description "
            "of; one in the `[task]` table of a config file is accepted (see the docs, "
            f"'Tasks'); {known}"
        )
    near = difflib.get_close_matches(name, TASKS, n=3, cutoff=0.4)
    hint = f"nearest: {', '.join(near)}; " if near else ""
    raise ValueError(
        f"`task` was {name!r}, which is not a task; {hint}{known}. Any other Gymnasium "
        "environment with continuous actions can be described in the `[task]` table of a "
        "config file"
    )


def _action_space(env_id: str) -> gym.Space | None:
    """The actions of an environment, or `None` where it cannot be made here."""
    try:
        env = gym.make(env_id)
    except (gym.error.Error, ImportError):
        return None
    env.close()
    return env.action_space
