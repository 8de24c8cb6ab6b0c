"""Untrained models that a config names, for training runs and fits alike."""

import math
from typing import Any

from jaxtyping import PRNGKeyArray

from ..mechanics import (
    AbstractLagrangian,
    Coordinates,
    FixedActuation,
    MechanicalSystem,
    State,
)
from ..models import (
    LNN,
    AbstractTermination,
    BoundTermination,
    DeLaN,
    NoTermination,
    RewardNetwork,
    TerminationNetwork,
)
from ..simulate import AbstractTransition, LagrangianField, MLPTransition, SolvedTransition
from ..tasks import known_equations
from ._config import Config, ModelConfig
from ._errors import UserError
from ._fit_config import FitModelConfig
from ._parts import ACTIVATIONS, make_dissipation
from ._user_part import fitting_system, user_part


def network_options(model: ModelConfig | FitModelConfig, key: PRNGKeyArray) -> dict[str, Any]:
    """What the networks of every model are built with."""
    return {"hidden": model.hidden, "activation": ACTIVATIONS[model.activation], "key": key}


def make_lagrangian(
    model: ModelConfig | FitModelConfig,
    coordinates: Coordinates,
    speeds: tuple[float, ...],
    key: PRNGKeyArray,
) -> AbstractLagrangian:
    """The Lagrangian that `delan` or `lnn` names.

    **Arguments:** `speeds`, the usual magnitude of each velocity.
    """
    options = network_options(model, key)
    if model.name == "delan":
        return DeLaN(coordinates, initial_mass=model.initial_mass, **options)
    assert model.name == "lnn"
    return LNN(coordinates, velocity_scale=speeds, **options)


def make_mlp(
    model: ModelConfig | FitModelConfig,
    coordinates: Coordinates,
    actions: int,
    speeds: tuple[float, ...],
    key: PRNGKeyArray,
    *,
    scale: State | None = None,
    velocity_limits: tuple[float, ...] | None = None,
    held: int = 0,
) -> MLPTransition:
    """The network for a whole step that `mlp` and `constrained-mlp` name.

    **Arguments:** `actions`, how wide they are; `speeds` as for `make_lagrangian`; `scale`,
    `velocity_limits` and `held` as for [`lagdyna.simulate.MLPTransition`][].
    """
    return MLPTransition(
        coordinates,
        actions,
        scale=scale,
        velocity_scale=speeds,
        velocity_limits=velocity_limits,
        held=held,
        **network_options(model, key),
    )


def usual_speeds(config: Config) -> tuple[float, ...]:
    """Half of the largest speed: what is usual is then of order one."""
    return tuple(0.5 * v or 1.0 for v in config.task.reach[1])


def make_transition(config: Config, key: PRNGKeyArray) -> AbstractTransition:
    """The simulator that is to be learned of a task."""
    task, coordinates = config.task, config.task.joint_coordinates
    speeds = usual_speeds(config)
    if config.model.discrete:
        return make_mlp(
            config.model,
            task.state_coordinates,
            task.action_size,
            speeds,
            key,
            velocity_limits=task.velocity_limits,
            held=len(task.context),
        )
    lagrangian = make_lagrangian(config.model, coordinates, speeds[: task.n], key)
    friction = config.model.dissipation or task.dissipation
    dissipation = make_dissipation(friction, task.n)
    system = MechanicalSystem(lagrangian, coordinates, FixedActuation(task.force), dissipation)
    return SolvedTransition(
        LagrangianField(system),
        task.state_coordinates,
        task.action_time,
        solver=config.solver.name,
        substeps=config.solver.substeps or task.substeps,
        tolerances=config.solver.tolerances,
        velocity_limits=task.velocity_limits,
        held=len(task.context),
    )


def make_reward(config: Config, key: PRNGKeyArray) -> RewardNetwork:
    """The reward that is to be learned of a task."""
    task = config.task
    return RewardNetwork(
        task.state_coordinates,
        task.action_size,
        usual_speeds(config),
        hidden=config.reward.hidden,
        activation=ACTIVATIONS[config.reward_activation],
        key=key,
    )


def make_termination(config: Config, key: PRNGKeyArray) -> AbstractTermination:
    """Where the task's episodes end: to be learned, stated, or nowhere."""
    task = config.task
    if task.terminates:
        return TerminationNetwork(
            task.state_coordinates,
            usual_speeds(config),
            hidden=config.reward.hidden,
            activation=ACTIVATIONS[config.reward_activation],
            key=key,
        )
    if min(task.ends_beyond) < math.inf:
        return BoundTermination(task.ends_beyond)
    return NoTermination()


def known_of(config: Config) -> MechanicalSystem | None:
    """The equations that a constrained network is told, `None` of any other model.

    **Raises:** `UserError` if there are none, they do not fit the task, or cannot be in the
    loss that the config asks for.
    """
    model, task = config.model, config.task
    if model.name != "constrained-mlp":
        return None
    if config.learner.window > 1 or task.context:
        what = "`learner.window` above 1" if config.learner.window > 1 else "a `context`"
        raise UserError(
            f"`model.name` was 'constrained-mlp', whose equations are of single steps of what "
            f"moves, and not of {what}"
        )
    given = known_equations(task)
    if model.known is not None:
        given = user_part("model.known", model.known)
    if isinstance(given, AbstractLagrangian):
        given = MechanicalSystem(given, task.joint_coordinates, FixedActuation(task.force))
    if given is None:
        raise UserError(
            "`model.name` was 'constrained-mlp', which needs `model.known`, the equations of "
            f"{task.env_id} as FILE.py:NAME"
        )
    return fitting_system(given, model.known, task.n, task.action_size, task.env_id)
