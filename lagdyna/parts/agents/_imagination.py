import math
from typing import TYPE_CHECKING, ClassVar

from ...options import (
    ActivationName,
    Count,
    Discount,
    Fraction,
    NonNegative,
    Positive,
    UpToOne,
    Widths,
)
from ._base import AgentConfig, AgentDefaults, PosteriorConfig, Schedule

if TYPE_CHECKING:
    import lagdyna.agents
    import lagdyna.tasks


class ImaginationConfig(AgentConfig, frozen=True, kw_only=True, tag="imagination"):
    """Actor-critic trained by backpropagation through imagined rollouts.

    See [`lagdyna.agents.ImaginationAgent`][] (Ramesh & Ravindran 2023, after Dreamer).

    **Arguments:**

    - `hidden`: widths of the hidden layers of policy and critics.
    - `activation`: activation function of policy and critics.
    - `horizon`: imagined steps per rollout and update.
    - `discount`: discount factor of the return.
    - `return_lambda`: lambda of the lambda-return.
    - `entropy`: initial entropy coefficient, in units of the scaled reward.
    - `entropy_end`: fraction of the entropy coefficient that is left after annealing along a
        cosine.
    - `entropy_until`: fraction of a restart interval after which it is annealed; at least
        five phases.
    - `restart_interval`: phases after which policy and critics are reset, rounded so that
        the run has equal parts. From the second reset on, the policy with the highest
        imagined return acts.
    - `keep_best_from`: fraction of a run of one restart interval after which the best policy
        so far, by imagined return, is evaluated and kept as that of the run, in place of the
        newest one. The newest goes on collecting experience. Runs of several intervals keep
        their best policy anyway.
    - `critics`: number of critics; the smallest estimate counts.
    - `target_rate`: rate of the Polyak average of the target critics.
    - `rate`: learning rate of Adam for policy and critics; it falls to a tenth along a cosine
        over a restart interval.
    - `clip`: largest norm of their gradients.
    - `updates`: updates per training phase.
    - `batch`: imagined rollouts per update.
    - `reset_fraction`: fraction of the rollouts that start anew in an update; the others
        continue from the last states of the update before.
    - `uniform_starts`: fraction of starts drawn uniformly from the sampling range.
    - `high_reward_starts`: fraction near states of high predicted reward; see
        [`lagdyna.agents.high_reward_states`][].
    - `initial_starts`: fraction at initial states of episodes. The rest starts at any state
        of the replay buffer.
    - `posterior`: imagination in posterior samples, a [`lagdyna.parts.PosteriorConfig`][].

    **Raises:** `ValueError` if the posterior samples do not divide the rollouts, or the
    fractions of starts add up to more than 1.
    """

    hidden: Widths = (256, 256)
    activation: ActivationName = "tanh"
    horizon: Count = 16
    discount: Discount = 0.99
    return_lambda: Fraction = 0.95
    entropy: NonNegative = 1e-1
    entropy_end: Fraction = 0.1
    entropy_until: UpToOne = 0.2
    restart_interval: Count = 25
    keep_best_from: Fraction = 1.0
    critics: Count = 1
    target_rate: UpToOne = 0.02
    rate: Positive = 2e-3
    clip: Positive = 1.0
    updates: Count = 400
    batch: Count = 64
    reset_fraction: Fraction = 0.1
    uniform_starts: Fraction = 0.125
    high_reward_starts: Fraction = 0.25
    initial_starts: Fraction = 0.5
    posterior: PosteriorConfig = PosteriorConfig()

    defaults: ClassVar[AgentDefaults] = AgentDefaults(
        weight_decay=0.1,
        reward_weight_decay=0.3,
        reward_activation="tanh",
        random_stretches=0.25,
    )

    def __post_init__(self):
        names = ("uniform_starts", "high_reward_starts", "initial_starts")
        fractions = [getattr(self, name) for name in names]
        if sum(fractions) > 1 + 1e-9:
            given = ", ".join(
                f"`{name}` {fraction:g}"
                for name, fraction in zip(names, fractions, strict=True)
            )
            raise ValueError(
                f"{given}; at most 1 is accepted for all together, since the rest starts in "
                "the replay buffer"
            )
        self.posterior.check_rollouts("batch", self.batch)

    def build(
        self, plant: "lagdyna.tasks.Plant", schedule: Schedule
    ) -> "lagdyna.agents.AbstractAgent":
        import optax

        from ...agents import Features, ImaginationActorCritic, ImaginationAgent
        from ...learners import make_optimiser

        restarts = max(1, round(schedule.phases / self.restart_interval))
        interval = math.ceil(schedule.phases / restarts)
        rate = optax.cosine_decay_schedule(self.rate, interval * schedule.updates, 0.1)
        optimiser = make_optimiser("adam", rate, self.clip)
        actor_critic = ImaginationActorCritic(
            features=Features(
                plant.state_coordinates, plant.velocity_scale, plant.position_scale
            ),
            action_size=plant.action_size,
            hidden=self.hidden,
            activation=plant.activation(self.activation),
            horizon=self.horizon,
            reset_fraction=self.reset_fraction,
            limits=plant.limits,
            discount=self.discount,
            return_lambda=self.return_lambda,
            entropy=self.entropy,
            critics=self.critics,
            target_rate=self.target_rate,
            policy_optimiser=optimiser,
            critic_optimiser=optimiser,
            pessimism=self.posterior.pessimism,
        )
        assert plant.range is not None
        return ImaginationAgent(
            actor_critic=actor_critic,
            batch=self.batch,
            starts=self._starts(plant),
            sampling_range=plant.range,
            entropy_end=self.entropy_end,
            entropy_phases=max(_LEAST_PHASES, round(self.entropy_until * interval)),
            interval=interval,
            restarts=math.ceil(schedule.phases / interval),
            substeps=schedule.substeps,
            newest_phases=max(1, math.ceil(self.keep_best_from * interval)),
            novelty=_moving_features(plant) if plant.sparse_reward else None,
        )

    def _starts(self, plant: "lagdyna.tasks.Plant") -> "lagdyna.agents.MixedStarts":
        from ...agents import (
            HighRewardStarts,
            InitialStarts,
            MixedStarts,
            ReplayedStarts,
            UniformStarts,
        )

        assert plant.range is not None
        left = self.batch
        counts = {}
        for kind in ("high_reward", "initial", "uniform"):
            fraction = getattr(self, f"{kind}_starts")
            counts[kind] = min(left, round(fraction * self.batch))
            left -= counts[kind]
        parts = (
            ReplayedStarts(),
            UniformStarts(plant.range),
            InitialStarts(),
            HighRewardStarts(plant.range, plant.action_size),
        )
        numbers = (left, counts["uniform"], counts["initial"], counts["high_reward"])
        return MixedStarts(parts, numbers)

    @property
    def samples(self) -> int:
        return self.posterior.samples

    def updates_in(self, steps: int) -> int:
        del steps
        return self.updates


def _moving_features(plant: "lagdyna.tasks.Plant") -> "lagdyna.agents.Features":
    """Features of the coordinates that move, without the context."""
    from ...agents import Features

    units = plant.position_scale
    return Features(
        plant.coordinates,
        plant.velocity_scale[: plant.n],
        None if units is None else units[: plant.n],
    )


# Where the entropy coefficient was annealed in the first of six phases, a pendulum went on
# spinning.
_LEAST_PHASES = 5
