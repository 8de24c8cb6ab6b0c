"""Untrained agents that a config names."""

from ..agents import SAC, TD3, Dyna, Features, ImaginationActorCritic, ShootingPlanner
from ._config import Config
from ._models import usual_speeds
from ._parts import ACTIVATIONS, falling, make_optimiser


def make_agent(config: Config) -> ImaginationActorCritic | Dyna:
    """The agent of a run."""
    return _make_dyna(config) if config.agent.name == "dyna" else _make_imagination(config)


def _features(config: Config) -> Features:
    return Features(config.task.state_coordinates, usual_speeds(config))


def _make_imagination(config: Config) -> ImaginationActorCritic:
    agent = config.agent
    rate = falling(agent.rate, config.generation * agent.updates, 0.1)
    optimiser = make_optimiser("adam", rate, agent.clip)
    return ImaginationActorCritic(
        features=_features(config),
        action_size=config.task.action_size,
        hidden=agent.hidden,
        activation=ACTIVATIONS[agent.activation],
        horizon=agent.horizon,
        restart=agent.restart,
        limits=imagined_limits(config),
        discount=agent.discount,
        return_lambda=agent.return_lambda,
        entropy=agent.entropy,
        critics=agent.critics,
        target_rate=agent.target_rate,
        policy_optimiser=optimiser,
        critic_optimiser=optimiser,
        pessimism=agent.posterior.pessimism,
    )


def make_planner(config: Config) -> ShootingPlanner:
    """Whose plans show an agent where rollouts may begin."""
    return ShootingPlanner(config.task.action_size, imagined_limits(config))


def _make_dyna(config: Config) -> Dyna:
    options = config.agent.dyna
    common = {
        "features": _features(config),
        "action_size": config.task.action_size,
        "hidden": options.hidden,
        "activation": ACTIVATIONS[options.activation],
        "critics": options.critics,
        "discount": options.discount,
        "target_rate": options.target_rate,
        "optimiser": make_optimiser("adam", options.rate, options.clip),
    }
    learner = (
        SAC(**common)
        if options.algorithm == "sac"
        else TD3(
            **common,
            noise=options.noise,
            target_noise=options.target_noise,
            target_clip=options.target_clip,
            delay=options.delay,
        )
    )
    return Dyna(
        learner=learner,
        batch=options.batch,
        ratio=options.ratio,
        rollouts=options.rollouts,
        length=options.length,
        capacity=options.capacity,
        limits=imagined_limits(config),
        pessimism=config.agent.posterior.pessimism,
    )


def imagined_limits(config: Config) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Of positions and of velocities; beyond them an imagined rollout has gone astray."""
    positions, velocities = config.task.reach
    return tuple(_FAR * x for x in positions), tuple(_FAST * x for x in velocities)


# In units of what is worth imagining. Links are driven to more than three times the speeds that
# their balance needs, and what is not known there is what an agent would find and use.
_FAR, _FAST = 3.0, 6.0
