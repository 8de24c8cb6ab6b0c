"""World models that environments give."""

import dataclasses

from .._errors import UserError
from ..simulate import WorldModel
from ._gymnasium import close_env, make_env
from ._spec import TaskSpec
from .suite import suite_name, suite_task, suite_world_model


def simulator_of(spec: TaskSpec, option: str = "`model.name` was 'simulator'") -> WorldModel:
    """Return the world model that the environment of a task gives.

    It predicts the state after an action was held for `spec.repeat` environment steps, and
    takes actions in `[-1, 1]^m`. Tasks of the suite give their true equations, and a reward
    that is interpolated between two actions. For any other task the environment is made, and
    its attribute `world_model` is read.

    **Arguments:** `spec`; `option`, what asks for it, for messages.

    **Raises:** [`lagdyna.UserError`][] if the environment gives none, or if its world model
    does not fit the task.
    """
    name = suite_name(dataclasses.replace(spec, max_episode_steps=None))
    if name is not None:
        return suite_world_model(suite_task(name), spec.repeat)
    env = make_env(spec, None)
    try:
        found = getattr(env.unwrapped, "world_model", None)
    finally:
        close_env(env)
    of = f"{option}, and the environment {spec.env_id!r}"
    if not isinstance(found, WorldModel):
        raise UserError(
            f"{of} gives no world model; tasks of the suite and environments with an attribute "
            "`world_model` do, a lagdyna.simulate.WorldModel; leave the option out to learn it"
        )
    if spec.repeat != 1 or spec.context:
        raise UserError(
            f"{of} gives a world model of single steps, which fits no task with `repeat` "
            f"{spec.repeat} and {len(spec.context)} quantities of `context`; a `repeat` of 1 "
            "without `context` is accepted"
        )
    angles = found.transition.coordinates.angles
    if angles != spec.joint_coordinates.angles:
        raise UserError(
            f"{of} gives a world model of {len(angles)} coordinates, {sum(angles)} of them "
            f"angles; the task describes {spec.n}, {sum(spec.joint_coordinates.angles)} of "
            "them angles, and the same are accepted"
        )
    return found
