from typing import TYPE_CHECKING, ClassVar

from ...options import Count, NonNegative, Positive
from ._base import AgentConfig, AgentDefaults, PosteriorConfig, Schedule

if TYPE_CHECKING:
    import lagdyna.agents
    import lagdyna.tasks


class PlannerConfig(AgentConfig, frozen=True, kw_only=True, tag="planner"):
    """Planner: iLQR through the learned model, whose plans are tracked.

    See [`lagdyna.agents.PlanningAgent`][]. It has no networks of its own.

    **Arguments:**

    - `plans`: plans that are kept, each with its tracker.
    - `horizon`: actions of a plan. Rewards after it do not count, so it should be long enough
        to reach the goal and stay for a while.
    - `iterations`: iterations of the planner for each of the two guesses of a plan.
    - `updates`: plans that are made in a training phase.
    - `noise`: standard deviation of the exploration noise on actions.
    - `effort`: weight of actions in the tracker, beside that of deviations as large as the
        sampling range.
    - `uncertainty`: penalty of the variance of the posterior's next states, relative to the
        usual change of a state, in standard deviations of the reward. Negative to seek it.
    - `posterior`: samples of the posterior for `uncertainty`, a
        [`lagdyna.parts.PosteriorConfig`][].

    **Raises:** `ValueError` for an `uncertainty` with fewer than two posterior samples, or for
    `posterior.pessimism`, which is of imagined rollouts.
    """

    plans: Count = 8
    horizon: Count = 100
    iterations: Count = 20
    updates: Count = 8
    noise: NonNegative = 0.1
    effort: Positive = 0.3
    uncertainty: float = 0.0
    posterior: PosteriorConfig = PosteriorConfig()

    defaults: ClassVar[AgentDefaults] = AgentDefaults(
        weight_decay=0.1,
        reward_weight_decay=0.3,
        reward_activation="tanh",
        random_stretches=0.1,
    )

    def __post_init__(self):
        if self.posterior.pessimism:
            raise ValueError(
                f"`posterior.pessimism` was {self.posterior.pessimism:g}, which is of imagined "
                "rollouts; a planner has `uncertainty`"
            )
        if self.uncertainty and self.posterior.samples < 2:
            raise ValueError(
                f"`uncertainty` was {self.uncertainty:g} with {self.posterior.samples} "
                "`posterior.samples`; at least 2 are accepted, for there to be a variance"
            )

    def build(
        self, plant: "lagdyna.tasks.Plant", schedule: Schedule
    ) -> "lagdyna.agents.AbstractAgent":
        from ...agents import Features, PlanningAgent
        from ...control import ILQR, ActionBox

        del schedule
        assert plant.range is not None
        return PlanningAgent(
            planner=ILQR(
                ActionBox.unit(plant.action_size),
                iterations=self.iterations,
                tolerance=1e-4,
            ),
            features=Features(
                plant.state_coordinates, plant.velocity_scale, plant.position_scale
            ),
            limits=plant.range,
            plans=self.plans,
            horizon=self.horizon,
            noise=self.noise,
            effort=self.effort,
            uncertainty=self.uncertainty,
        )

    @property
    def samples(self) -> int:
        return self.posterior.samples if self.uncertainty else 0

    def updates_in(self, steps: int) -> int:
        del steps
        return self.updates
