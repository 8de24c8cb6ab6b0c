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
from ._config import Config, ModelConfig
from ._fit_config import FitModelConfig
from ._parts import ACTIVATIONS, make_dissipation


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
        activation=ACTIVATIONS[config.reward.activation],
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
            activation=ACTIVATIONS[config.reward.activation],
            key=key,
        )
    if min(task.ends_beyond) < math.inf:
        return BoundTermination(task.ends_beyond)
    return NoTermination()
