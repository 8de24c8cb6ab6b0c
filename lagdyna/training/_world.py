"""Untrained reward and termination models of a task."""

import math

from jaxtyping import PRNGKeyArray

from ..config import Config, given
from ..models import (
    AbstractTermination,
    BoundTermination,
    NoTermination,
    RewardNetwork,
    TerminationNetwork,
)
from ..tasks import Plant


def make_reward(config: Config, plant: Plant, key: PRNGKeyArray) -> RewardNetwork:
    """Create the reward network of a resolved config."""
    options = given(config.reward)
    return RewardNetwork(
        plant.state_coordinates,
        plant.action_size,
        plant.velocity_scale,
        position_scale=plant.position_scale,
        hidden=options.hidden,
        activation=plant.activation(given(options.activation)),
        key=key,
    )


def make_termination(config: Config, plant: Plant, key: PRNGKeyArray) -> AbstractTermination:
    """Create the termination of a task: a network, a stated bound, or none."""
    task, options = config.task, given(config.reward)
    if task.terminates:
        return TerminationNetwork(
            plant.state_coordinates,
            plant.velocity_scale,
            position_scale=plant.position_scale,
            hidden=options.hidden,
            activation=plant.activation(given(options.activation)),
            key=key,
        )
    if min(task.ends_beyond) < math.inf:
        return BoundTermination(task.ends_beyond)
    return NoTermination()
