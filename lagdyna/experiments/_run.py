import json
import platform
import time
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from ..learners import AbstractPosterior
from ..mechanics import State
from ..models import AbstractReward
from ..simulate import AbstractTransition
from ..tasks import GymnasiumTask, ObservationError, suite_name, suite_task
from ._checkpoint import load_checkpoint, save_checkpoint
from ._config import Config
from ._curves import evaluations_of, steps_to
from ._differences import check_unchanged
from ._errors import UserError
from ._evaluation import Act, evaluate_policy, record_rollout, still_going
from ._files import (
    SEEDS_FILE,
    new_directory,
    numbered,
    read_first_lines,
    write_json,
    write_json_lines,
    write_text,
)
from ._fitted_model import FittedModel
from ._pictures import draw
from ._progress import AbstractProgress, Silence
from ._rounds import run_rounds
from ._seeds import OneSeed
from ._toml import check_config, config_from_table, config_to_toml, load_config
from ._trainer import RewardFn, Trainer, Training
from ._video import check_draws, check_video, filming
from ._worlds import EVALUATE_AGAIN, PICTURE, start_seeds

Record = dict[str, Any]
Summary = dict[str, Any]


class Run(NamedTuple):
    """A run read back from its directory.

    **Attributes:**

    - `config`: what determined it.
    - `transition`: the learned simulator; a [`lagdyna.simulate.SolvedTransition`][], or for
        the model `mlp` a [`lagdyna.simulate.MLPTransition`][].
    - `reward`: the learned reward.
    - `training`: everything else that was learned and seen.
    - `trainer`: the compiled programs, such as `trainer.act(training, states)`.
    - `records`: the lines of `metrics.jsonl`.
    - `posterior`: of the simulator, a [`lagdyna.learners.AbstractPosterior`][] as the latest
        training left it; `None` if no filter learned.
    """

    config: Config
    transition: AbstractTransition
    reward: AbstractReward
    training: Training
    trainer: Trainer
    records: list[Record]
    posterior: AbstractPosterior[AbstractTransition] | None

    @property
    def model(self) -> FittedModel:
        """The simulator, with all that can be asked of it: its Lagrangian, if it has one."""
        return FittedModel(self.transition)


def default_directory(config: Config) -> Path:
    """The first of `runs/TASK-1`, `runs/TASK-2`, ... that does not exist; by environment id."""
    name = config.task.env_id.rpartition(":")[2].replace("/", "-")
    return numbered(lambda number: Path("runs") / f"{name}-{number}")


def train(
    config: Config,
    out: str | Path | None = None,
    *,
    reward: RewardFn | None = None,
    progress: AbstractProgress | None = None,
) -> Summary:
    """Learns to control a task, and leaves everything about it in a run directory.

    Real episodes, a fit of the model to all experience, imagined rollouts, an evaluation;
    again, until the config's steps of experience are used up. After every round a
    checkpoint is written, from which [`lagdyna.experiments.resume`][] goes on.

    **Arguments:**

    - `config`: what to do.
    - `out`: a new or empty directory; by default the first free one in `runs/`.
    - `reward`: a differentiable JAX function of `(state, action, next_state)`, if the
        reward is known; it is learned from data otherwise.
    - `progress`: whom to tell.

    **Returns:** the contents of `summary.json`.

    **Raises:** `UserError` if the config, the environment or the directory cannot be
    used; nothing has been written then. Later, with what was learned until then kept, if an
    environment breaks its promises, or its episodes turn out longer than evaluations may be.
    """
    config = check_config(config)
    probe(config)
    trainer = Trainer(config, reward)
    training = trainer.init()
    out = new_directory(default_directory(config) if out is None else Path(out))
    begin_directory(out, trainer)
    return _continue(trainer, training, [], 0.0, out, progress or Silence())


def resume(
    run: str | Path,
    *,
    reward: RewardFn | None = None,
    progress: AbstractProgress | None = None,
) -> Summary:
    """Goes on with an interrupted run, to the same end as if nothing had happened.

    **Arguments:** `run`, its directory; `reward` and `progress` as for
    [`lagdyna.experiments.train`][]. A reward function that was passed there has to be
    passed here too.

    **Returns:** the contents of `summary.json`; of a run that is complete, those it has.

    **Raises:** `UserError` if the directory holds no run, a damaged one, or one that was begun
    with another config than it has now.
    """
    run = Path(run)
    config = config_of(run)
    finished = finished_summary(run)
    if finished is not None:
        return finished
    probe(config)
    trainer = Trainer(config, reward)
    if not checkpoint_of(run).exists():  # interrupted before the first round's end
        (run / "checkpoint").mkdir(exist_ok=True)
        return _continue(trainer, trainer.init(), [], 0.0, run, progress or Silence())
    training, notes = load_training(run, trainer)
    records = read_first_lines(run / "metrics.jsonl", notes["records"])
    seconds = notes["wall_seconds"]
    return _continue(trainer, training, records, seconds, run, progress or Silence())


def finished_summary(run: Path) -> Summary | None:
    """The summary of a run that has come to its end.

    **Raises:** `UserError` if it is damaged.
    """
    summary = run / "summary.json"
    if not summary.exists():
        return None
    try:
        return json.loads(summary.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(
            f"{str(summary)!r} is not whole: it is cut off or damaged ({error}); once it "
            "is deleted, `lagdyna resume` writes it anew"
        ) from error


def load_run(run: str | Path, *, reward: RewardFn | None = None) -> Run:
    """Reads a run of [`lagdyna.experiments.train`][], finished or not, from its directory.

    **Arguments:** `run`, the directory; `reward`, the function that was passed to
    [`lagdyna.experiments.train`][], if one was.

    **Raises:** `UserError` if the directory holds no run, a damaged one, or one that was begun
    with another config than it has now.
    """
    run = Path(run)
    config = config_of(run)
    trainer = Trainer(config, reward)
    training, notes = load_training(run, trainer)
    records = read_first_lines(run / "metrics.jsonl", notes["records"])
    return Run(
        config,
        training.transition,
        training.reward,
        training,
        trainer,
        records,
        trainer.posterior(training),
    )


def evaluate(
    run: str | Path,
    *,
    episodes: int | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    video: str | Path | None = None,
    reward: RewardFn | None = None,
) -> Summary:
    """Judges a run's policy on episodes that it has not seen.

    **Arguments:**

    - `run`: the run's directory.
    - `episodes`: how many; as many as in the run by default.
    - `seed`: of their starts.
    - `out`: where `evaluation.json` goes, a new or empty directory; by default the first
        free `evaluation-1`, `evaluation-2`, ... in the run's.
    - `video`: a new file that shows the first of the episodes in real time: `.gif`, or
        `.mp4` and `.webm` with the extra `lagdyna[video]`.
    - `reward`: the function that was passed to [`lagdyna.experiments.train`][], if one was.

    **Returns:** the contents of `evaluation.json`.

    **Raises:** `UserError` if `episodes` is not positive, or a directory cannot be used; if
    `video` exists, its directory does not, its ending is another or what it needs is not
    installed, or the environment draws nothing. Nothing has been written then.
    """
    run = Path(run)
    if episodes is not None and episodes < 1:
        raise UserError(f"`episodes` was {episodes}: expected `int` >= 1")
    if seed < 0:
        raise UserError(f"`seed` was {seed}: expected `int` >= 0")
    if video is not None:
        check_video(Path(video))
    loaded = load_run(run, reward=reward)
    config = loaded.config
    if video is not None:
        check_draws(config.task)
    count = episodes or config.evaluation.episodes
    out = numbered(lambda k: run / f"evaluation-{k}") if out is None else Path(out)
    out = new_directory(out)
    start = time.perf_counter()
    seeds = [int(start) for start in start_seeds(seed, EVALUATE_AGAIN, count)]

    def act(states: State) -> np.ndarray:
        return np.asarray(loaded.trainer.act(loaded.training, states))

    returns = evaluate_policy(config.task, act, seeds, config.evaluation.max_steps)
    if video is not None:
        _film(config, act, seeds, Path(video))
    result = {
        "run": str(run),
        "task": config.task.env_id,
        "seed": seed,
        "env_steps": int(loaded.training.env_steps),
        "eval_episodes": count,
        "return_mean": float(returns.mean()),
        "return_std": float(returns.std()),
        "return_min": float(returns.min()),
        "return_max": float(returns.max()),
        "returns": returns.tolist(),
        "video": None if video is None else str(video),
        "wall_seconds": time.perf_counter() - start,
    }
    write_json(out / "evaluation.json", result)
    return {**result, "out": str(out)}


def _film(config: Config, act: Act, seeds: list[int], path: Path) -> None:
    """Shows the first of the episodes of those seeds."""

    def again(states: State) -> np.ndarray:
        # As many rows as in the evaluation: another program would round otherwise, and a
        # chaotic system would soon do something that was not judged.
        rows: Any = (np.repeat(part, len(seeds), axis=0) for part in states)
        return act(State(*rows))

    with filming(path, config.task.action_time) as show:
        record_rollout(config.task, again, seeds[0], config.evaluation.max_steps, show)


def finish(
    trainer: Trainer, training: Training, records: list[Record], seconds: float, out: Path
) -> Summary:
    """Pictures and summary of a run that has come to its end."""
    config = trainer.config
    draw(trainer, training, records, out, int(start_seeds(config.seed, PICTURE, 1)[0]))
    summary = summary_of(config, records, seconds)
    write_json(out / "summary.json", summary)
    return summary


def _continue(
    trainer: Trainer,
    training: Training,
    records: list[Record],
    seconds: float,
    out: Path,
    progress: AbstractProgress,
) -> Summary:
    """The run from wherever it is to its end."""
    config = trainer.config
    start = time.perf_counter() - seconds

    def keep(training: Training, records: list[list[Record]]) -> None:
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


def write_round(
    out: Path, config: Config, training: Training, records: list[Record], seconds: float
) -> None:
    """Metrics and checkpoint of a run after a round."""
    write_json_lines(out / "metrics.jsonl", records)
    # The checkpoint comes last: it vouches for that many lines of metrics.
    notes = {
        "records": len(records),
        "wall_seconds": seconds,
        "config": config_to_toml(config),
    }
    save_checkpoint(checkpoint_of(out), training, notes)


def load_training(run: Path, trainer: Trainer) -> tuple[Training, dict[str, Any]]:
    """A run's training and notes as its latest round left them.

    **Raises:** `UserError` if they are damaged, or of another config than the trainer's.
    """

    def check(notes: dict[str, Any]) -> None:
        if "config" in notes:  # older ones have none
            check_unchanged(str(run), config_in(notes), trainer.config)

    return load_checkpoint(checkpoint_of(run), trainer.init(), check)


def config_in(notes: dict[str, Any]) -> Config:
    """The config that a checkpoint's notes have."""
    return config_from_table(tomllib.loads(notes["config"]))


def begin_directory(out: Path, trainer: Trainer) -> None:
    """What stands in a run's directory before its first round."""
    write_text(out / "config.toml", config_to_toml(trainer.config))
    (out / "checkpoint").mkdir()


def probe(config: Config) -> None:
    """Meets the environment once, so that one that does not fit is refused at the start."""
    try:
        GymnasiumTask(config.task).close()
    except ValueError as error:
        raise UserError(str(error)) from error
    name, evaluation = suite_name(config.task), config.evaluation
    # Others tell how long their episodes are only when these end.
    if name is not None and evaluation.max_steps < suite_task(name).horizon:
        episodes = evaluation.episodes
        raise still_going(config.task, evaluation.max_steps, episodes, episodes)


def checkpoint_of(run: Path) -> Path:
    """The checkpoint in a run's directory."""
    return run / "checkpoint" / "training.npz"


def config_of(run: Path) -> Config:
    """The config in a run's directory.

    **Raises:** `UserError` if it holds no run, or one of several seeds.
    """
    if (run / SEEDS_FILE).exists():
        held = sorted(path.name for path in run.glob("seed-*"))
        raise UserError(
            f"`run` was {str(run)!r}, which holds a run of several seeds; the directory of "
            f"one of them is accepted: {', '.join(held)}"
        )
    if not (run / "config.toml").exists():
        raise UserError(
            f"`run` was {str(run)!r}, which holds no run (no `config.toml`); "
            "a directory that `lagdyna train` wrote is accepted"
        )
    return load_config(run / "config.toml")


def parts_of(config: Config) -> Summary:
    """What a summary says of the parts, `None` of those that the run did without."""
    free = config.agent.model_free
    return {
        "task": config.task.env_id,
        "agent": config.agent.name,
        "model": None if free else config.model.name,
        "learner": None if free else config.learner.name,
        "solver": None if free or config.model.discrete else config.solver.name,
    }


def platform_of() -> Summary:
    """What a summary says of where it was computed."""
    device = jax.devices()[0]
    packages = ("lagdyna", "jax", "equinox", "diffrax", "optax", "gymnasium", "numpy")
    return {
        "device": f"{device.platform} ({device.device_kind})",
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in packages},
        },
    }


def summary_of(config: Config, records: list[Record], seconds: float) -> Summary:
    """The contents of `summary.json`."""
    last, target = records[-1], config.task.target_return
    reached = np.nan if target is None else steps_to(*evaluations_of(records), target)
    return {
        **parts_of(config),
        "seed": config.seed,
        "env_steps": last["env_steps"],
        "return_mean": last["eval_return_mean"],
        "return_std": last["eval_return_std"],
        "eval_episodes": config.evaluation.episodes,
        "steps_to_target": None if np.isnan(reached) else int(reached),
        "target_return": target,
        "wall_seconds": seconds,
        **platform_of(),
    }
