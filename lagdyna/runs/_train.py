"""Training runs of one seed."""

import time
from pathlib import Path
from typing import NamedTuple

from .._errors import UserError
from ..config import Config, Known, check_config, check_functions, known_option
from ..filters import AbstractPosterior
from ..models import AbstractReward
from ..parts import AgentConfig, DynamicsConfig, LearnerConfig
from ..results import new_directory, read_first_lines
from ..simulate import AbstractTransition, LearnedModel, WorldModel
from ..tasks import ObservationError, TaskSpec
from ..training import (
    AbstractProgress,
    OneSeed,
    Record,
    RewardFn,
    Silence,
    Trainer,
    TrainingState,
    run_rounds,
)
from ._config_of import Objects, training_config
from ._directory import (
    Summary,
    begin_directory,
    checkpoint_of,
    config_of,
    default_directory,
    finish,
    finished_summary,
    load_training,
    probe,
    write_round,
)

Model = DynamicsConfig | type[DynamicsConfig] | str
Learner = LearnerConfig | type[LearnerConfig] | str
Agent = AgentConfig | type[AgentConfig] | str


class Run(NamedTuple):
    """Training run read from its directory.

    **Attributes:**

    - `config`: the resolved config.
    - `training`: everything that was learned and recorded.
    - `trainer`: the compiled programs, such as `trainer.act(training, states)`.
    - `records`: the lines of `metrics.jsonl`.
    - `posterior`: of the dynamics, as the latest phase left it; `None` if no filter learned
        them.
    """

    config: Config
    training: TrainingState
    trainer: Trainer
    records: list[Record]
    posterior: AbstractPosterior[AbstractTransition] | None

    @property
    def world(self) -> WorldModel:
        """Learned world model.

        **Raises:** `UserError` if the agent of the run uses none.
        """
        if self.training.world is None:
            raise UserError(
                f"the run has no model: its agent, {self.config.agent.name!r}, uses none"
            )
        return self.training.world

    @property
    def transition(self) -> AbstractTransition:
        """Learned dynamics."""
        return self.world.transition

    @property
    def reward(self) -> AbstractReward:
        """Learned or given reward."""
        return self.world.reward

    @property
    def model(self) -> LearnedModel:
        """Learned dynamics with their mechanics: Lagrangian, energy, forces."""
        return LearnedModel(self.transition)


def train(
    config: Config | TaskSpec | str = "Pendulum-v1",
    out: str | Path | None = None,
    *,
    model: Model | None = None,
    learner: Learner | None = None,
    agent: Agent | None = None,
    known: Known | None = None,
    reward: RewardFn | None = None,
    progress: AbstractProgress | None = None,
) -> Summary:
    """Learn to control a task, and write everything about it to a run directory.

    The run collects experience, fits the model to all of it, improves the agent and evaluates
    the policy, until the environment steps of the config are used up. After every round it
    writes a checkpoint, from which [`lagdyna.runs.resume`][] continues.

    **Arguments:**

    - `config`: a [`lagdyna.config.Config`][], a [`lagdyna.tasks.TaskSpec`][], or the name of a
        task.
    - `out`: a new or empty directory; by default the first free one in `runs/`.
    - `model`, `learner`, `agent`: parts in place of the config's: names, objects or classes.
    - `known`: the known equations of the model, in place of `model.known`.
    - `reward`: a differentiable function of `(state, action, next_state)`, if the reward is
        known; it is learned otherwise.
    - `progress`: receives the progress of the run.

    **Returns:** the content of `summary.json`.

    **Raises:** `UserError` if the config, the environment or the directory cannot be used;
    nothing has been written then. Later, with the results so far kept, if an observation does
    not fit the task's description, or episodes are longer than evaluations may be.
    """
    config = check_config(training_config(config, Objects(model, learner, agent)))
    probe(config)
    trainer = Trainer(config, reward, known)
    check_functions(trainer.plant, reward, known_option(config, known))
    training = trainer.init()
    out = new_directory(default_directory(config) if out is None else Path(out))
    begin_directory(out, trainer)
    return _continue(trainer, training, [], 0.0, out, progress or Silence())


def resume_run(
    run: str | Path,
    *,
    model: Model | None = None,
    learner: Learner | None = None,
    agent: Agent | None = None,
    known: Known | None = None,
    reward: RewardFn | None = None,
    progress: AbstractProgress | None = None,
) -> Summary:
    """Continue an interrupted run of one seed, to the same result as without interruption.

    **Arguments:** `run`, its directory; the others as for [`lagdyna.runs.train`][]. Objects
    that were given there must be given again.

    **Returns:** the content of `summary.json`.

    **Raises:** `UserError` if the directory holds no run, a damaged one, or one that was begun
    with another config than it has now.
    """
    run = Path(run)
    config = config_of(run, Objects(model, learner, agent))
    finished = finished_summary(run)
    if finished is not None:
        return finished
    probe(config)
    trainer = Trainer(config, reward, known)
    if not checkpoint_of(run).exists():  # interrupted before the end of the first round
        (run / "checkpoint").mkdir(exist_ok=True)
        return _continue(trainer, trainer.init(), [], 0.0, run, progress or Silence())
    training, notes = load_training(run, trainer)
    records = read_first_lines(run / "metrics.jsonl", notes["records"])
    seconds = notes["wall_seconds"]
    return _continue(trainer, training, records, seconds, run, progress or Silence())


def load_run(
    run: str | Path,
    *,
    model: Model | None = None,
    learner: Learner | None = None,
    agent: Agent | None = None,
    known: Known | None = None,
    reward: RewardFn | None = None,
) -> Run:
    """Load a run of [`lagdyna.runs.train`][], finished or not, from its directory.

    **Arguments:** `run`, the directory; the others as for [`lagdyna.runs.train`][], if they
    were given there.

    **Raises:** `UserError` if the directory holds no run, a damaged one, or one that was begun
    with another config than it has now.
    """
    run = Path(run)
    trainer = Trainer(config_of(run, Objects(model, learner, agent)), reward, known)
    training, notes = load_training(run, trainer)
    records = read_first_lines(run / "metrics.jsonl", notes["records"])
    return Run(trainer.config, training, trainer, records, trainer.posterior(training))


def _continue(
    trainer: Trainer,
    training: TrainingState,
    records: list[Record],
    seconds: float,
    out: Path,
    progress: AbstractProgress,
) -> Summary:
    """Continue a run from its present state to its end."""
    config = trainer.config
    start = time.perf_counter() - seconds

    def keep(training: TrainingState, records: list[list[Record]]) -> None:
        write_round(out, config, training, records[0], time.perf_counter() - start)

    progress.begin(config, out, int(training.env_steps), (config.seed,))
    try:
        seeds = OneSeed(trainer)
        training, (records,) = run_rounds(seeds, training, [records], keep, progress)
        progress.phase("pictures", 0, 1, {})
        return finish(trainer, training, records, time.perf_counter() - start, out)
    except ObservationError as error:
        raise UserError(str(error)) from error
    finally:
        progress.end()
