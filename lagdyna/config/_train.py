"""Config of a training run."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from .._errors import UserError
from ..options import Count, Whole, part_of
from ..parts import (
    AGENTS,
    LEARNERS,
    LOSSES,
    MODELS,
    AgentConfig,
    AutoLossConfig,
    DynamicsConfig,
    GradientConfig,
    LearnerConfig,
    LossConfig,
    Schedule,
    SimulatorConfig,
    SolverConfig,
    StepsLossConfig,
)
from ..tasks import Plant, TaskSpec, simulator_of
from ._checks import check_loss, check_model, given, resolved_loss
from ._known import Known, with_equations
from ._names import known_task, named_solver
from ._sections import CollectConfig, EvaluationConfig, RewardConfig

Option = TypeVar("Option")


@dataclass(frozen=True, kw_only=True, init=False)
class Config:
    """Everything that determines a training run; frozen, hashable, and written beside it.

    Parts may be given as names, as in `Config(solver="tsit5", agent="dyna")`, as objects or
    as classes. An option of `None` was left open; `resolved` fills it.

    **Arguments:**

    - `task`: a [`lagdyna.tasks.TaskSpec`][] or the name of a task; `Pendulum-v1` by default.
    - `steps`: environment steps of real experience, random ones included; by default those
        of the task.
    - `seed`: of everything random.
    - `model`, `solver`, `loss`, `learner`, `reward`: the world model and how it is learned.
        By default `delan`, `heun`, `one-step` and `adam`. An agent without a model has none
        of them.
    - `agent`: by default `imagination`.
    - `collect`, `evaluation`: real experience and the evaluations between training phases.

    **Raises:** `UserError` if a name is unknown, or options contradict each other.
    """

    task: TaskSpec
    steps: Count | None
    seed: Whole
    model: DynamicsConfig | None
    solver: SolverConfig | None
    loss: LossConfig | None
    learner: LearnerConfig | None
    reward: RewardConfig | None
    agent: AgentConfig
    collect: CollectConfig
    evaluation: EvaluationConfig

    def __init__(
        self,
        *,
        task: TaskSpec | str = "Pendulum-v1",
        steps: int | None = None,
        seed: int = 0,
        model: DynamicsConfig | type[DynamicsConfig] | str | None = None,
        solver: SolverConfig | str | None = None,
        loss: LossConfig | str | None = None,
        learner: LearnerConfig | type[LearnerConfig] | str | None = None,
        reward: RewardConfig | None = None,
        agent: AgentConfig | type[AgentConfig] | str = "imagination",
        collect: CollectConfig = CollectConfig(),
        evaluation: EvaluationConfig = EvaluationConfig(),
    ):
        values = {
            "task": known_task(task),
            "steps": steps,
            "seed": seed,
            "model": None if model is None else part_of(model, MODELS, "model"),
            "solver": named_solver(solver),
            "loss": None if loss is None else part_of(loss, LOSSES, "loss"),
            "learner": None if learner is None else part_of(learner, LEARNERS, "learner"),
            "reward": reward,
            "agent": part_of(agent, AGENTS, "agent"),
            "collect": collect,
            "evaluation": evaluation,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        self._check()

    def _check(self) -> None:
        """Refuse options of parts that are not in use, and parts that contradict."""
        agent, learner, model = self.agent, self.learner, self.model
        if not agent.uses_model:
            for name in ("model", "solver", "loss", "learner", "reward"):
                if getattr(self, name) is not None:
                    raise UserError(
                        f"`{name}` was given with an agent that uses no model ({agent.name}); "
                        "leave it out, or choose an agent with a model"
                    )
        if agent.samples and not (learner is not None and learner.is_filter):
            named = LEARNERS.default if learner is None else learner.name
            raise UserError(
                f"`agent.posterior.samples` was {agent.samples} with the learner {named!r}, "
                "which leaves no posterior; a filter is accepted, such as ekf"
            )
        capacity = self.collect.capacity
        if capacity is not None and capacity < agent.real_batch:
            raise UserError(
                f"`collect.capacity` was {capacity}, and a batch of the agent takes "
                f"{agent.real_batch} real transitions; at least as many are accepted"
            )
        decay = None if self.reward is None else self.reward.weight_decay
        if decay is not None and not isinstance(learner, GradientConfig | None):
            raise UserError(
                f"`reward.weight_decay` was {decay:g} with the learner {learner.name!r}, which "
                "has no weight decay; the optimisers do"
            )
        if model is not None:
            check_model(model, self.solver, self.loss, self.task)
        check_loss(self.loss, learner, model, self.solver)
        if self.loss is not None and not isinstance(
            self.loss, StepsLossConfig | AutoLossConfig
        ):
            needs = "recorded accelerations" if self.loss.needs else "other data than states"
            raise UserError(
                f"`loss.name` was {self.loss.name!r}, which needs {needs}; a training run "
                "records states only: one-step and multi-step are accepted, and other "
                "subclasses of StepsLossConfig"
            )

    @property
    def model_free(self) -> bool:
        """Whether the run trains no model."""
        return not self.agent.uses_model

    def resolved(
        self, plant: Plant | None = None, weights: list[Any] | None = None
    ) -> "Config":
        """Fill every option that was left open; the one place where defaults depend on parts.

        **Arguments:** `plant`, of the task, if the caller has it; `weights`, of the models that
        are learned, which a learner may depend on (`auto`); shapes suffice.
        """
        task, agent = self.task, self.agent.resolved()
        usual = agent.defaults
        collect = self.collect
        collect = dataclasses.replace(
            collect,
            random_steps=_or(collect.random_steps, 50 * task.repeat),
            random_stretches=_or(collect.random_stretches, usual.random_stretches),
            train_every=_or(collect.train_every, 50 * task.repeat),
            steps_per_round=_or(collect.steps_per_round, 200 * task.repeat),
        )
        common = {"agent": agent, "collect": collect, "steps": _or(self.steps, task.steps)}
        if self.model_free:
            return dataclasses.replace(self, **common)
        reward = self.reward or RewardConfig()
        reward = dataclasses.replace(
            reward,
            activation=reward.activation or usual.reward_activation,
        )
        model = self.model or part_of(MODELS.default, MODELS, "model")
        model = model.resolved(plant or Plant.of_task(task))
        learner = self.learner or part_of(LEARNERS.default, LEARNERS, "learner")
        learner = msgspec.structs.replace(
            learner,
            updates=learner.updates or learner.usual_phase.updates,
            batch=learner.batch or learner.usual_phase.batch,
        )
        if isinstance(learner, GradientConfig):
            learner = learner.with_usual_decay(usual.weight_decay)
            decay = _or(reward.weight_decay, usual.reward_weight_decay)
            reward = dataclasses.replace(reward, weight_decay=decay)
        if weights is not None:
            learner = learner.resolved(weights)
        solver = None
        if not model.discrete:
            solver = (self.solver or SolverConfig()).resolved(task.substeps)
        loss = resolved_loss(self.loss, learner, model, solver, task)
        return dataclasses.replace(
            self,
            **common,
            reward=reward,
            model=model,
            learner=learner,
            solver=solver,
            loss=loss,
        )

    @property
    def phases(self) -> int:
        """Training phases of a resolved config."""
        return math.ceil(given(self.steps) / given(self.collect.train_every))

    @property
    def agent_updates(self) -> int:
        """Updates of the agent in a training phase of a resolved config."""
        return self.agent.updates_in(given(self.collect.train_every))

    @property
    def model_updates(self) -> int:
        """Updates of the model in a training phase of a resolved config."""
        simulated = isinstance(self.model, SimulatorConfig) and not self.task.terminates
        return 0 if self.learner is None or simulated else given(self.learner.updates)

    @property
    def schedule(self) -> Schedule:
        """Training phases that the agent of a resolved config depends on."""
        substeps = self.loss.substeps if isinstance(self.loss, StepsLossConfig) else None
        return Schedule(self.phases, self.agent_updates, substeps)

    def plant(self, known: Known | None = None) -> Plant:
        """Describe the system of the task, with the equations that the model contains.

        **Arguments:** `known`, equations that were given in Python.

        **Raises:** `UserError` if the model needs equations and there are none, they do not
        fit the task, or the environment gives no reward that is wanted as known.
        """
        plant = Plant.of_task(self.task)
        if self.reward is not None and self.reward.known:
            given = simulator_of(self.task, "`reward.known` was true")
            plant = plant._replace(reward=given.reward)
        if self.model is None:
            return plant
        return with_equations(plant, self.model, task=self.task, known=known)


def _or(value: Option | None, default: Option) -> Option:
    return default if value is None else value
