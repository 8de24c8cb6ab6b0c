"""Training runs of one seed."""

import time
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._environments import EPISODE_SECONDS, LEARNED_MODEL
from .._errors import UserError
from ..config import Config, Known, check_config, check_functions, known_option
from ..filters import AbstractPosterior
from ..mechanics import State
from ..models import AbstractReward, RewardFn
from ..options import config_to_toml
from ..parts import AgentConfig, DynamicsConfig, LearnerConfig
from ..progress import AbstractProgress, ProgressLike, progress_of
from ..results import (
    check_links,
    locked,
    make_directory,
    new_run,
    optimiser_states,
    reserved,
    write_text,
)
from ..simulate import AbstractTransition, LearnedModel, WorldModel
from ..tasks import EnvironmentFault, TaskSpec
from ..training import (
    OneSeed,
    Record,
    Records,
    Round,
    Trainer,
    TrainingState,
    run_rounds,
)
from ._check_environment import check_environment
from ._config_of import Objects, config_of, objects_of, training_config
from ._directory import (
    Summary,
    begin_directory,
    checkpoint_of,
    failed_run,
    finish,
    finished_summary,
    load_training,
    probe,
    records_of,
    run_paths,
    write_progress,
)
from ._extend import extend_run, kept_config
from ._from_run import check_reward, from_run, reward_of
from ._machine import commit
from ._trust import Trust

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
    - `directory`: where the run was read from.
    """

    config: Config
    training: TrainingState
    trainer: Trainer
    records: list[Record]
    posterior: AbstractPosterior[AbstractTransition] | None
    directory: Path | None = None

    def __repr__(self) -> str:  # all of its arrays would fill a notebook
        config, place = self.config, None if self.directory is None else str(self.directory)
        return f"Run({config.task.env_id!r}, agent={config.agent.name!r}, directory={place!r})"

    @property
    def world_model(self) -> WorldModel:
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
        return self.world_model.transition

    @property
    def reward(self) -> AbstractReward:
        """Learned or given reward."""
        return self.world_model.reward

    @property
    def model(self) -> LearnedModel:
        """Learned dynamics with their mechanics: Lagrangian, energy, forces."""
        return LearnedModel(self.transition)

    def simulator(
        self,
        q: Float[Array, " n"] | Float[np.ndarray, " n"],
        qd: Float[Array, " n"] | Float[np.ndarray, " n"],
        actions: Float[Array, "time m"] | Float[np.ndarray, "time m"],
    ) -> State:
        """Simulate the learned dynamics.

        **Arguments:** `q`, `qd`, the first state, shapes `(n,)`; `actions`, in `[-1, 1]^m`.

        **Returns:** the states, the first one included, shapes `(time + 1, n)`.
        """
        first = State(jnp.asarray(q, float), jnp.asarray(qd, float))
        return self.model.rollout(first, jnp.asarray(actions, float))

    def as_env(self, **options: Any) -> gymnasium.Env:
        """Create an environment of the learned model, in which any agent can be trained.

        Its observations are `(q, qd)` and its actions are in `[-1, 1]^m`. Its episodes begin
        where those of the run began, and take 10 s.

        **Arguments:** `options`, of `gymnasium.make` and of [`lagdyna.worlds.LearnedEnv`][],
        such as `start` and `max_episode_steps`.

        **Raises:** `UserError` as [`lagdyna.worlds.LearnedEnv`][].
        """
        usual = max(1, round(EPISODE_SECONDS / self.config.task.action_time))
        given = {"max_episode_steps": usual, **options}
        return gymnasium.make(LEARNED_MODEL, run=str(self.directory), **given)


def train(
    config: Config | TaskSpec | str = "Pendulum-v1",
    out: str | Path | None = None,
    *,
    steps: int | None = None,
    seed: int | None = None,
    model: Model | None = None,
    learner: Learner | None = None,
    agent: Agent | None = None,
    known: Known | None = None,
    reward: RewardFn | None = None,
    progress: ProgressLike = None,
) -> Summary:
    """Learn to control a task, and write everything about it to a run directory.

    The run collects experience, fits the model to all of it, improves the agent and evaluates
    the policy, until the environment steps of the config are used up. After every training
    phase it writes a checkpoint, from which [`lagdyna.runs.resume`][] continues.

    **Arguments:**

    - `config`: a [`lagdyna.config.Config`][], a [`lagdyna.tasks.TaskSpec`][], or the name of a
        task.
    - `out`: a new or empty directory; by default the first free one in `runs/`.
    - `steps`, `seed`: environment steps and seed in place of the config's.
    - `model`, `learner`, `agent`: parts in place of the config's: names, objects or classes.
    - `known`: the known equations of the model, in place of `model.known`.
    - `reward`: a differentiable function of `(state, action, next_state)`, if the reward is
        known; it is learned otherwise.
    - `progress`: receives the progress of the run; `"bar"` or `"lines"` shows it; see
        [`lagdyna.progress.progress_of`][].

    **Returns:** the content of `summary.json`.

    **Raises:** `UserError` if the config, the environment or the directory cannot be used;
    nothing has been written then. Later, with the results so far kept, if the environment
    raises an error or returns what cannot be used, or episodes are longer than evaluations
    may be.
    """
    parts = Objects(model, learner, agent)
    config = check_config(training_config(config, parts, steps=steps, seed=seed))
    config, spaces = probe(config)
    progress = progress_of(progress)
    check_environment(config, progress)
    trainer = Trainer(config, reward, known)
    check_functions(trainer.plant, reward, known_option(config, known))
    training = trainer.init()
    chosen = None if out is None else Path(out)
    with reserved(chosen, run_paths(config)) as path, new_run(path):
        begin_directory(path, trainer, spaces)
        return _continue(trainer, training, [], 0.0, path, progress)


@from_run
def resume_run(
    run: str | Path,
    *,
    steps: int | None = None,
    model: Model | None = None,
    learner: Learner | None = None,
    agent: Agent | None = None,
    known: Known | None = None,
    reward: RewardFn | None = None,
    progress: ProgressLike = None,
    trust: Trust = False,
) -> Summary:
    """Continue an interrupted run of one seed, to the same result as without interruption.

    With `steps` the run gets more environment steps, also after its end. The learned model, the
    agent and all experience go on from where they are. Schedules follow the new total from here
    on, so the result is not that of a run that was begun with as many steps.

    **Arguments:**

    - `run`: its directory.
    - `steps`: environment steps in total; by default those of the run.
    - `trust`: as for [`lagdyna.runs.load`][].
    - the others as for [`lagdyna.runs.train`][]. Objects that were given there must be given
        again.

    **Returns:** the content of `summary.json`.

    **Raises:** `UserError` if the directory holds no run, a damaged one, or one that was begun
    with another config than it has now; if another process is writing it; or if the run has
    made `steps` already.
    """
    run = Path(run)
    stored = config_of(run, objects_of(model, learner, agent, known, trust))
    config = kept_config(run, stored)
    finished = finished_summary(run)
    if finished is not None and steps in (None, config.steps):
        return finished
    check_links(run)
    check_reward(run, reward)
    config, _ = probe(config)
    trainer = Trainer(config, reward, known)
    with locked(run):
        if config != stored:
            write_text(run / "config.toml", config_to_toml(config))
        if steps not in (None, config.steps):
            trainer = extend_run(run, trainer, steps)
        if not checkpoint_of(run).exists():  # interrupted in the first phase
            make_directory(run / "checkpoint")
            return _continue(trainer, trainer.init(), [], 0.0, run, progress_of(progress))
        training, notes = load_training(run, trainer)
        records = records_of(run, notes["records"], notes["digest"])
        begun = Round.of_notes(notes.get("round"), str(checkpoint_of(run)), 1)
        seconds = notes["wall_seconds"]
        return _continue(trainer, training, records, seconds, run, progress_of(progress), begun)


@from_run
def load_run(
    run: str | Path,
    *,
    model: Model | None = None,
    learner: Learner | None = None,
    agent: Agent | None = None,
    known: Known | None = None,
    reward: RewardFn | None = None,
    trust: Trust = False,
) -> Run:
    """Load a run of [`lagdyna.runs.train`][], finished or not, from its directory.

    **Arguments:** `run`, the directory; `trust`, as for [`lagdyna.runs.load`][]; the others as
    for [`lagdyna.runs.train`][], if they were given there. Without a `reward` that was given
    there, all but the reward can be used.

    **Raises:** `UserError` if the directory holds no run, a damaged one, or one that was begun
    with another config than it has now.
    """
    run = Path(run)
    config = config_of(run, objects_of(model, learner, agent, known, trust))
    reward, optional = reward_of(run, reward)
    trainer = Trainer(kept_config(run, config), reward, known)
    # Inference needs no state of an optimiser, which other versions of Optax may lay out anew.
    optional += optimiser_states(trainer.init())
    training, notes = load_training(run, trainer, optional)
    records = records_of(run, notes["records"], notes["digest"])
    posterior = trainer.posterior(training)
    return Run(trainer.config, training, trainer, records, posterior, run)


def _continue(
    trainer: Trainer,
    training: TrainingState,
    records: list[Record],
    seconds: float,
    out: Path,
    progress: AbstractProgress,
    begun: Round | None = None,
) -> Summary:
    """Continue a run from its present state to its end."""
    config = trainer.config
    start, seeds = time.perf_counter() - seconds, OneSeed(trainer)
    training = seeds.place(training)
    commit()  # cached now, since the clone may change during the run

    def keep(training: TrainingState, records: Records, now: Round | None) -> None:
        seconds = time.perf_counter() - start
        line = [] if now is None else now.lines(seeds, training)[0]
        notes = None if now is None else now.to_notes()
        write_progress(out, config, training, records[0], seconds, line, notes)

    progress.begin(config, out, int(training.env_steps), (config.seed,))
    try:
        training, (records,) = run_rounds(seeds, training, [records], keep, progress, begun)
        progress.phase("pictures", 0, 1, {})
        return finish(trainer, training, records, time.perf_counter() - start, out)
    except EnvironmentFault as fault:
        raise failed_run(fault, out) from fault
    finally:
        progress.end()
