import difflib
from collections.abc import Mapping
from types import MappingProxyType

import gymnasium as gym

from ._foreign import FOREIGN
from ._spec import CoordinateSpec, TaskSpec
from .suite import SUITE, YARDSTICKS

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
        **{name: entry.spec for name, entry in YARDSTICKS.items()},
    }
)
"""Registered tasks by name."""


def get_task(name: str) -> TaskSpec:
    """Return the task of a name.

    **Arguments:**

    - `name`: a key of [`lagdyna.tasks.TASKS`][], or the Gymnasium id of one of these tasks.

    **Raises:** `ValueError` if the name is unknown; the message lists the nearest names.
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
                f"`task` was {name!r}, a Gymnasium environment with actions {actions}; "
                f"only continuous actions (a Box) are accepted; {known}"
            )
        raise ValueError(
            f"`task` was {name!r}, a Gymnasium environment without a description in lagdyna; "
            "describe it in the `[task]` table of a config file (see the docs, 'Tasks'); "
            f"{known}"
        )
    near = difflib.get_close_matches(name, TASKS, n=3, cutoff=0.4)
    hint = f"nearest: {', '.join(near)}; " if near else ""
    raise ValueError(
        f"`task` was {name!r}, which is not a task; {hint}{known}. Any other Gymnasium "
        "environment with continuous actions can be described in the `[task]` table of a "
        "config file"
    )


def _action_space(env_id: str) -> gym.Space | None:
    """Return the action space of an environment, or `None` if it cannot be made."""
    try:
        env = gym.make(env_id)
    except Exception:  # of any kind, from the environment's own code
        return None
    env.close()
    return env.action_space
