from typing import TYPE_CHECKING, Any

import msgspec

from ...options import Count, Fraction
from ._algorithms import AlgorithmConfig, TD3Config
from ._base import AgentConfig, PosteriorConfig, Schedule

if TYPE_CHECKING:
    import lagdyna.agents
    import lagdyna.tasks


class DynaConfig(AgentConfig, frozen=True, kw_only=True, tag="dyna"):
    """Off-policy actor-critic trained on real and imagined transitions (Sutton 1990).

    See [`lagdyna.agents.Dyna`][] (Das et al. 2026, Algorithm 1).

    **Arguments:**

    - `algorithm`: the off-policy algorithm, `td3` or `sac`, with its own options.
    - `ratio`: fraction of a batch that the model has imagined; with 0 the agent is model-free
        and no model is trained.
    - `updates`: updates per environment step; by default 40, without a model 1.
    - `batch`: transitions per update.
    - `rollouts`: rollouts imagined at a time, before every 200 updates of a phase; by default
        400.
    - `length`: steps of an imagined rollout; by default 10.
    - `uniform_starts`: fraction of rollouts that start anywhere in the sampling range; the
        others start in the replay buffer. By default 0.75.
    - `capacity`: imagined transitions that are kept, the latest; by default 20,000.
    - `posterior`: imagination in posterior samples, a [`lagdyna.parts.PosteriorConfig`][].

    **Raises:** `ValueError` if more is imagined at a time than is kept, fewer transitions are
    kept than a batch needs, the posterior samples do not divide the rollouts, or an option of
    imagination is given without a model.
    """

    algorithm: AlgorithmConfig = TD3Config()
    ratio: Fraction = 0.9
    updates: Count | None = None
    batch: Count = 128
    rollouts: Count | None = None
    length: Count | None = None
    uniform_starts: Fraction | None = None
    capacity: Count | None = None
    posterior: PosteriorConfig | None = None

    def __post_init__(self):
        if not self.ratio:
            for name in _OF_IMAGINATION:
                if getattr(self, name) is not None:
                    raise ValueError(
                        f"`{name}` was given with a `ratio` of 0, an agent without a model; a "
                        "larger ratio is accepted"
                    )
            return
        rollouts, length, capacity = (
            getattr(self, name) or _OF_IMAGINATION[name]
            for name in ("rollouts", "length", "capacity")
        )
        if rollouts * length > capacity:
            raise ValueError(
                f"`capacity` was {capacity}, and `rollouts` x `length`, {rollouts} x {length} "
                "transitions, are imagined at a time; at least as many are accepted"
            )
        if capacity < self.imagined:
            raise ValueError(
                f"`capacity` was {capacity}, and a `batch` of {self.batch} at a `ratio` of "
                f"{self.ratio:g} takes {self.imagined} imagined transitions; at least as many "
                "are accepted"
            )
        if self.posterior is not None:
            self.posterior.check_rollouts("rollouts", rollouts)

    @property
    def imagined(self) -> int:
        """Imagined transitions of a batch; the others are real."""
        return round(self.ratio * self.batch)

    @property
    def uses_model(self) -> bool:
        return self.ratio > 0

    @property
    def samples(self) -> int:
        return 0 if self.posterior is None else self.posterior.samples

    @property
    def real_batch(self) -> int:
        return self.batch - self.imagined

    def updates_in(self, steps: int) -> int:
        return steps * (self.updates or (40 if self.ratio else 1))

    def resolved(self) -> "DynaConfig":
        usual = _OF_IMAGINATION if self.ratio else {}
        left_open = {k: v for k, v in usual.items() if getattr(self, k) is None}
        return msgspec.structs.replace(self, updates=self.updates_in(1), **left_open)

    def build(
        self, plant: "lagdyna.tasks.Plant", schedule: Schedule
    ) -> "lagdyna.agents.AbstractAgent":
        from ...agents import Dyna, MixedStarts, ReplayedStarts, UniformStarts

        del schedule
        assert plant.range is not None
        rollouts, length, capacity, fraction = (
            _OF_IMAGINATION[name] if getattr(self, name) is None else getattr(self, name)
            for name in ("rollouts", "length", "capacity", "uniform_starts")
        )
        uniform = round(fraction * rollouts)
        return Dyna(
            learner=self.algorithm.build(plant),
            batch=self.batch,
            ratio=self.ratio,
            starts=MixedStarts(
                (ReplayedStarts(), UniformStarts(plant.range)), (rollouts - uniform, uniform)
            ),
            rollouts=rollouts,
            length=length,
            capacity=capacity,
            limits=plant.limits,
            pessimism=0.0 if self.posterior is None else self.posterior.pessimism,
        )


# Defaults of the options that a model-free agent does not have.
_OF_IMAGINATION: dict[str, Any] = {
    "rollouts": 400,
    "length": 10,
    "uniform_starts": 0.75,
    "capacity": 20_000,
    "posterior": PosteriorConfig(),
}
