import json
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..fit import AbstractPosterior
from ..models import AbstractReward
from ..simulate import SolvedTransition
from ..tasks import GymnasiumTask, ObservationError
from ._checkpoint import load_checkpoint, save_checkpoint
from ._config import Config
from ._errors import UserError
from ._evaluation import evaluate_policy
from ._files import (
    new_directory,
    numbered,
    read_first_lines,
    write_json,
    write_json_lines,
    write_text,
)
from ._pictures import draw
from ._progress import AbstractProgress, Silence
from ._toml import check_config, config_to_toml, load_config
from ._trainer import RewardFn, Trainer, Training

Record = dict[str, Any]
Summary = dict[str, Any]


class Run(NamedTuple):
    """A run read back from its directory.

    **Attributes:**

    - `config`: what determined it.
    - `transition`: the learned simulator; `transition.field.system.lagrangian` is the
        learned Lagrangian.
    - `reward`: the learned reward.
    - `training`: everything else that was learned and seen.
    - `trainer`: the compiled programs, such as `trainer.act(training, states)`.
    - `records`: the lines of `metrics.jsonl`.
    - `posterior`: of the simulator, a [`lagdyna.fit.AbstractPosterior`][] as the latest
        training left it; `None` if no filter learned.
    """

    config: Config
    transition: SolvedTransition
    reward: AbstractReward
    training: Training
    trainer: Trainer
    records: list[Record]
    posterior: AbstractPosterior[SolvedTransition] | None


def default_directory(config: Config) -> Path:
    """The first of `runs/TASK-1`, `runs/TASK-2`, ... that does not exist."""
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
    again, until `config.steps` steps of experience are used up. After every round a
    checkpoint is written, from which [`lagdyna.experiments.resume`][] goes on.

    **Arguments:**

    - `config`: what to do.
    - `out`: a new or empty directory; by default the first free one in `runs/`.
    - `reward`: a differentiable JAX function of `(state, action, next_state)`, if the
        reward is known; it is learned from data otherwise.
    - `progress`: whom to tell.

    **Returns:** the contents of `summary.json`.

    **Raises:** `UserError` if the config, the environment or the directory cannot be
    used; nothing has been written then.
    """
    config = check_config(config)
    _probe(config)
    trainer = Trainer(config, reward)
    training = trainer.init()
    out = new_directory(default_directory(config) if out is None else Path(out))
    write_text(out / "config.toml", config_to_toml(trainer.config))
    (out / "checkpoint").mkdir()
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

    **Raises:** `UserError` if the directory holds no run, or a damaged one.
    """
    run = Path(run)
    config = _config_of(run)
    summary = run / "summary.json"
    if summary.exists():
        try:
            return json.loads(summary.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(
                f"{str(summary)!r} is not whole: it is cut off or damaged ({error}); once it "
                "is deleted, `lagdyna resume` writes it anew"
            ) from error
    _probe(config)
    trainer = Trainer(config, reward)
    if not _checkpoint_of(run).exists():  # interrupted before the first round's end
        (run / "checkpoint").mkdir(exist_ok=True)
        return _continue(trainer, trainer.init(), [], 0.0, run, progress or Silence())
    training, notes = load_checkpoint(_checkpoint_of(run), trainer.init())
    records = read_first_lines(run / "metrics.jsonl", notes["records"])
    seconds = notes["wall_seconds"]
    return _continue(trainer, training, records, seconds, run, progress or Silence())


def load_run(run: str | Path, *, reward: RewardFn | None = None) -> Run:
    """Reads a run of [`lagdyna.experiments.train`][], finished or not, from its directory.

    **Arguments:** `run`, the directory; `reward`, the function that was passed to
    [`lagdyna.experiments.train`][], if one was.

    **Raises:** `UserError` if the directory holds no run, or a damaged one.
    """
    run = Path(run)
    config = _config_of(run)
    trainer = Trainer(config, reward)
    training, notes = load_checkpoint(_checkpoint_of(run), trainer.init())
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
    reward: RewardFn | None = None,
) -> Summary:
    """Judges a run's policy on episodes that it has not seen.

    **Arguments:**

    - `run`: the run's directory.
    - `episodes`: how many; as many as in the run by default.
    - `seed`: of their starts.
    - `out`: where `evaluation.json` goes, a new or empty directory; by default the first
        free `evaluation-1`, `evaluation-2`, ... in the run's.
    - `reward`: the function that was passed to [`lagdyna.experiments.train`][], if one was.

    **Returns:** the contents of `evaluation.json`.

    **Raises:** `UserError` if `episodes` is not positive, or a directory cannot be used.
    """
    run = Path(run)
    if episodes is not None and episodes < 1:
        raise UserError(f"`episodes` was {episodes}: expected `int` >= 1")
    if seed < 0:
        raise UserError(f"`seed` was {seed}: expected `int` >= 0")
    loaded = load_run(run, reward=reward)
    config = loaded.config
    count = episodes or config.evaluation.episodes
    out = numbered(lambda k: run / f"evaluation-{k}") if out is None else Path(out)
    out = new_directory(out)
    start = time.perf_counter()
    returns = evaluate_policy(
        config.task,
        lambda states: np.asarray(loaded.trainer.act(loaded.training, states)),
        _seeds(seed, _EVALUATE_AGAIN, count),
        config.evaluation.max_steps,
    )
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
        "wall_seconds": time.perf_counter() - start,
    }
    write_json(out / "evaluation.json", result)
    return {**result, "out": str(out)}


# What a seed given to an environment is for; part of it, so that no two are the same.
_EPISODE, _EVALUATE, _PICTURE, _EVALUATE_AGAIN = range(4)


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
    progress.begin(config, out, int(training.env_steps))
    try:
        while int(training.env_steps) < config.steps:
            training, record = _round(trainer, training, progress)
            records = [*records, record]
            write_json_lines(out / "metrics.jsonl", records)
            # The checkpoint comes last: it vouches for that many lines of metrics.
            notes = {"records": len(records), "wall_seconds": time.perf_counter() - start}
            save_checkpoint(_checkpoint_of(out), training, notes)
            progress.record(record)
        progress.phase("pictures", 0, 1, {})
        seed = _seeds(config.seed, _PICTURE, 1)[0]
        draw(trainer, training, records, out, seed)
        summary = _summary(config, records, time.perf_counter() - start)
        write_json(out / "summary.json", summary)
        return summary
    except ObservationError as error:
        raise UserError(str(error)) from error
    finally:
        progress.end()


def _round(
    trainer: Trainer, training: Training, progress: AbstractProgress
) -> tuple[Training, Record]:
    """Whole episodes, with training and evaluation between their steps and at the end.

    The episodes are as many as give the steps of a round; the last one of a run is cut
    short where the steps are used up.
    """
    config = trainer.config
    clock, metrics = _Clock(), _Metrics()
    returns: list[float] = []
    evaluations: list[Record] = []
    first = int(training.env_steps)
    wanted = min(config.collect.steps_per_round, config.steps - first)
    done = trained = 0
    env = GymnasiumTask(config.task)
    try:
        while done < wanted:
            episode = int(training.episodes)
            state = env.reset(_seeds(config.seed, _EPISODE, episode + 1)[-1])
            total, ended = 0.0, False
            while not ended and first + done < config.steps:
                action = np.asarray(trainer.explore(training, state))
                outcome = env.step(action)
                training = trainer.record(training, state, action, outcome)
                state, total, done = outcome.state, total + outcome.reward, done + 1
                ended = outcome.terminated or outcome.truncated
                if done % 10 == 0:
                    progress.phase("collect", first + done, config.steps, metrics.latest)
                if done - trained == config.collect.train_every and done < wanted:
                    clock.lap("collect")
                    training = _train(trainer, training, metrics, clock, progress)
                    evaluations.append(_judge(trainer, training, metrics, clock, progress))
                    trained = done
            training = trainer.end_episode(training)
            returns.append(total)
    finally:
        env.close()
    clock.lap("collect")
    training = _train(trainer, training, metrics, clock, progress)
    evaluations.append(_judge(trainer, training, metrics, clock, progress))
    training = trainer.end_round(training)
    return training, {
        "round": int(training.rounds),
        "episodes": int(training.episodes),
        "env_steps": int(training.env_steps),
        "train_return": float(np.mean(returns)),
        "eval_return_mean": evaluations[-1]["return_mean"],
        "eval_return_std": evaluations[-1]["return_std"],
        "evaluations": evaluations,
        **metrics.latest,
        "skipped_updates": metrics.skipped,
        "seconds": clock.laps,
    }


def _judge(
    trainer: Trainer,
    training: Training,
    metrics: "_Metrics",
    clock: "_Clock",
    progress: AbstractProgress,
) -> Record:
    """An evaluation of the policy as it is now."""
    config = trainer.config
    progress.phase("evaluate", 0, 1, metrics.latest)
    returns = evaluate_policy(
        config.task,
        lambda states: np.asarray(trainer.act(training, states)),
        _seeds(config.seed, _EVALUATE, config.evaluation.episodes),
        config.evaluation.max_steps,
    )
    clock.lap("evaluate")
    evaluation = {
        "env_steps": int(training.env_steps),
        "return_mean": float(returns.mean()),
        "return_std": float(returns.std()),
    }
    progress.evaluation(evaluation)
    return evaluation


def _train(
    trainer: Trainer,
    training: Training,
    metrics: "_Metrics",
    clock: "_Clock",
    progress: AbstractProgress,
) -> Training:
    """A fit of the model to all experience, then imagination."""
    config = trainer.config
    training = trainer.begin_fit(training)
    for name, program, updates in (
        ("fit", trainer.fit, config.learner.updates_or_default),
        ("imagine", trainer.behave, config.agent.updates),
    ):
        # Pieces short enough to watch and to interrupt, of at most two sizes to compile.
        sizes = [_PIECE] * (updates // _PIECE)
        if updates % _PIECE:
            sizes.append(updates % _PIECE)
        for i, size in enumerate(sizes):
            progress.phase(name, sum(sizes[:i]), updates, metrics.latest)
            training, arrays = program(training, jnp.asarray(i), size)
            metrics.add({key: float(value) for key, value in arrays.items()})
        clock.lap(name)
    return training


_PIECE = 200


class _Metrics:
    """The latest of every metric, and how many updates were skipped in all."""

    def __init__(self):
        self.latest: dict[str, float] = {}
        self.skipped = 0

    def add(self, metrics: dict[str, float]) -> None:
        for name, value in metrics.items():
            if name.endswith("_skipped"):
                self.skipped += int(value)
            else:
                self.latest[name] = value


class _Clock:
    """Seconds spent in each phase."""

    def __init__(self):
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """What passed since the last lap was spent in the phase `name`."""
        now = time.perf_counter()
        self.laps[name] = self.laps.get(name, 0.0) + now - self._last
        self._last = now


def _seeds(seed: int, purpose: int, count: int) -> list[int]:
    state = np.random.SeedSequence([seed, purpose]).generate_state(count)
    return [int(x) for x in state]


def _probe(config: Config) -> None:
    """Meets the environment once, so that one that does not fit is refused at the start."""
    try:
        GymnasiumTask(config.task).close()
    except ValueError as error:
        raise UserError(str(error)) from error


def _checkpoint_of(run: Path) -> Path:
    return run / "checkpoint" / "training.npz"


def _config_of(run: Path) -> Config:
    if not (run / "config.toml").exists():
        raise UserError(
            f"`run` was {str(run)!r}, which holds no run (no `config.toml`); "
            "a directory that `lagdyna train` wrote is accepted"
        )
    return load_config(run / "config.toml")


def _summary(config: Config, records: list[Record], seconds: float) -> Summary:
    last, target = records[-1], config.task.target_return
    reached = [
        evaluation["env_steps"]
        for record in records
        for evaluation in record["evaluations"]
        if target is not None and evaluation["return_mean"] >= target
    ]
    device = jax.devices()[0]
    packages = ("lagdyna", "jax", "equinox", "diffrax", "optax", "gymnasium", "numpy")
    return {
        "task": config.task.env_id,
        "agent": config.agent.name,
        "model": config.model.name,
        "learner": config.learner.name,
        "solver": config.solver.name,
        "seed": config.seed,
        "env_steps": last["env_steps"],
        "return_mean": last["eval_return_mean"],
        "return_std": last["eval_return_std"],
        "eval_episodes": config.evaluation.episodes,
        "steps_to_target": reached[0] if reached else None,
        "target_return": target,
        "wall_seconds": seconds,
        "device": f"{device.platform} ({device.device_kind})",
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in packages},
        },
    }
