import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from ...options import ActivationName, Family, NonNegative, Part, Whole

if TYPE_CHECKING:
    import lagdyna.agents
    import lagdyna.tasks


AGENTS = Family("agent", "agent", "imagination", group="lagdyna.agents")
"""Agents by name."""


class AgentDefaults(NamedTuple):
    """Defaults of the rest of a run that depend on its agent.

    **Attributes:** `weight_decay`, of the dynamics; `reward_weight_decay` and
    `reward_activation`, of the reward model; `random_stretches`, of the exploration.
    """

    weight_decay: float = 0.0
    reward_weight_decay: float = 0.0
    reward_activation: ActivationName = "softplus"
    random_stretches: float = 0.0


@dataclass(frozen=True, kw_only=True)
class PosteriorConfig:
    """Imagination in samples of the posterior that a filter leaves of the dynamics.

    **Arguments:**

    - `samples`: models drawn from the posterior before every 200 updates; each imagined
        rollout uses one of them. With 0 all rollouts use the mean.
    - `pessimism`: standard deviations over the samples, of reward and discounted next value,
        that are subtracted from the reward of an imagined step.

    **Raises:** `ValueError` for pessimism with fewer than two samples.
    """

    samples: Whole = 0
    pessimism: NonNegative = 0.0

    def __post_init__(self):
        if self.pessimism and self.samples < 2:
            raise ValueError(
                f"`pessimism` was {self.pessimism:g} with {self.samples} `samples`; at least 2 "
                "are accepted, for there to be a deviation"
            )

    def check_rollouts(self, option: str, rollouts: int) -> None:
        """Refuse a number of rollouts that the samples do not divide."""
        if self.samples and rollouts % self.samples:
            raise ValueError(
                f"`posterior.samples` was {self.samples} and `{option}` {rollouts}; a multiple "
                "of the samples is accepted, for each to have as many rollouts"
            )


@AGENTS
class AgentConfig(Part, frozen=True, kw_only=True):
    """Options of an agent and the method that builds it.

    **Attributes:** (of the class) `defaults`, those of the rest of the run.
    """

    defaults: ClassVar[AgentDefaults] = AgentDefaults()

    @abc.abstractmethod
    def build(
        self, plant: "lagdyna.tasks.Plant", schedule: "Schedule"
    ) -> "lagdyna.agents.AbstractAgent":
        """Build the untrained agent of a plant.

        **Arguments:** `schedule`, the training phases that the run will have.
        """

    @property
    def uses_model(self) -> bool:
        """Whether the agent needs a world model."""
        return True

    @property
    def samples(self) -> int:
        """Number of posterior samples that the agent imagines in; 0 for the mean alone."""
        return 0

    @property
    def real_batch(self) -> int:
        """Real transitions in a batch: the least that the replay buffer must hold."""
        return 1

    def updates_in(self, steps: int) -> int:
        """Updates in a training phase that follows so many environment steps."""
        return steps

    def resolved(self) -> "AgentConfig":
        """Fill options that were left open."""
        return self


class Schedule(NamedTuple):
    """Training phases of a run, as far as an agent depends on them.

    **Attributes:** `phases`, how many there will be; `updates`, of the agent in each;
    `substeps`, solver substeps that the dynamics are trained with, `None` without a solver.
    """

    phases: int
    updates: int
    substeps: int | None
