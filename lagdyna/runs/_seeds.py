"""Training runs of several seeds as one program."""

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np

from .._errors import UserError
from ..config import Config, Known, check_config, check_functions, known_option
from ..results import (
    SEEDS_FILE,
    check_kind,
    curves,
    evaluations_of,
    interquartile_interval,
    interquartile_mean,
    load_checkpoint,
    new_directory,
    plot_learning_curves,
    read_first_lines,
    read_json,
    save_checkpoint,
    write_json,
    write_run_file,
)
from ..tasks import ObservationError, TaskSpec
from ..training import (
    AbstractProgress,
    ManySeeds,
    Records,
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
    check_notes,
    checkpoint_of,
    config_of,
    default_directory,
    finish,
    finished_summary,
    notes_of,
    parts_of,
    platform_of,
    probe,
    write_round,
)
from ._train import Agent, Learner, Model


def train_seeds(
    config: Config | TaskSpec | str,
    seeds: int,
    out: str | Path | None = None,
    *,
    model: Model | None = None,
    learner: Learner | None = None,
    agent: Agent | None = None,
    known: Known | None = None,
    reward: RewardFn | None = None,
    progress: AbstractProgress | None = None,
) -> Summary:
    """Train several seeds as one program, spread over the available devices.

    The training states are stacked, and every program is mapped over them. Devices share the
    seeds equally; nothing passes between devices. Each seed gets a directory `seed-...` in
    `out`, the same as [`lagdyna.runs.train`][] would write; `learning_curve.png` and
    `summary.json` of all seeds stand beside them.

    **Arguments:**

    - `config`: as for [`lagdyna.runs.train`][]; its `seed` is the first one.
    - `seeds`: how many.
    - the others as for [`lagdyna.runs.train`][].

    **Returns:** the content of `summary.json` in `out`.

    **Raises:** `UserError` if `seeds` is not positive or so many do not fit into memory, or as
    [`lagdyna.runs.train`][]; nothing has been written then.
    """
    if seeds < 1:
        raise UserError(f"`seeds` was {seeds}: expected `int` >= 1")
    config = check_config(training_config(config, Objects(model, learner, agent)))
    probe(config)
    numbers = range(config.seed, config.seed + seeds)
    trainer = Trainer(config, reward, known)
    check_functions(trainer.plant, reward, known_option(config, known))
    many = ManySeeds(trainer, numbers)
    training = many.start()
    out = new_directory(default_directory(config) if out is None else Path(out))
    for seed in many.seeds:
        _directory(out, seed).mkdir()
        begin_directory(_directory(out, seed), many.trainer.with_seed(seed))
    (out / "checkpoint").mkdir()
    write_json(out / SEEDS_FILE, {"seeds": list(many.seeds)})
    write_run_file(out, "seeds")
    records: Records = [[] for _ in many.seeds]
    return _continue(many, training, records, 0.0, out, progress or Silence())


def resume_seeds(
    run: str | Path,
    *,
    model: Model | None = None,
    learner: Learner | None = None,
    agent: Agent | None = None,
    known: Known | None = None,
    reward: RewardFn | None = None,
    progress: AbstractProgress | None = None,
) -> Summary:
    """Continue an interrupted [`lagdyna.runs.train_seeds`][], to the same result.

    **Arguments:** as for [`lagdyna.runs.resume_run`][].

    **Returns:** the content of `summary.json` over all seeds.

    **Raises:** `UserError` if the directory holds no such run, a damaged one, or one whose
    configs are not those that it was begun with.
    """
    run = Path(run)
    check_kind(run, "seeds")
    finished = finished_summary(run)
    if finished is not None:
        return finished
    seeds, objects = _seeds_of(run), Objects(model, learner, agent)
    config = config_of(_directory(run, seeds[0]), objects)
    probe(config)
    many = ManySeeds(Trainer(config, reward, known), seeds)
    training, records, seconds = many.start(), [[] for _ in seeds], 0.0
    if checkpoint_of(run).exists():

        def check(notes: dict[str, Any]) -> None:
            for seed in seeds:
                directory = _directory(run, seed)
                begun = dataclasses.replace(config_of(directory, objects), seed=config.seed)
                check_notes(directory, notes, begun)

        training, notes = load_checkpoint(checkpoint_of(run), training, check)
        training, seconds = many.place(training), notes["wall_seconds"]
        records = [
            read_first_lines(_directory(run, seed) / "metrics.jsonl", count)
            for seed, count in zip(seeds, notes["records"], strict=True)
        ]
    return _continue(many, training, records, seconds, run, progress or Silence())


def _continue(
    many: ManySeeds,
    training: TrainingState,
    records: Records,
    seconds: float,
    out: Path,
    progress: AbstractProgress,
) -> Summary:
    config, start = many.trainer.config, time.perf_counter() - seconds
    directories = [_directory(out, seed) for seed in many.seeds]

    def keep(training: TrainingState, records: Records) -> None:
        now = time.perf_counter() - start
        for i, directory in enumerate(directories):
            one = dataclasses.replace(config, seed=many.seeds[i])
            write_round(directory, one, many.one(training, i), records[i], now)
        # Written last, since it says how many lines of the seeds' metrics are valid. After an
        # interruption the checkpoints of the seeds may be of two rounds.
        counts = [len(lines) for lines in records]
        save_checkpoint(checkpoint_of(out), training, notes_of(config, counts, now))

    begun = int(many.to_numpy(training.env_steps).max())
    progress.begin(config, out, begun, many.seeds)
    try:
        training, records = run_rounds(many, training, records, keep, progress)
        summaries = []
        for i, seed in enumerate(many.seeds):
            progress.phase("pictures", i, len(many.seeds), {})
            trainer, one = many.trainer.with_seed(seed), many.one(training, i)
            now = time.perf_counter() - start
            summaries.append(finish(trainer, one, records[i], now, directories[i]))
        _plot(many, records, out)
        summary = _summary(many, summaries, time.perf_counter() - start)
        write_json(out / "summary.json", summary)
        return summary
    except ObservationError as error:
        raise UserError(str(error)) from error
    finally:
        progress.end()


def _plot(many: ManySeeds, records: Records, out: Path) -> None:
    task = many.trainer.config.task
    times, returns = curves([evaluations_of(lines) for lines in records])
    plot_learning_curves(
        out / "learning_curve.png",
        times,
        [interquartile_mean(column) for column in returns.T],
        interquartile_interval(returns),
        returns,
        f"{task.env_id}, {len(many.seeds)} seeds",
        task.target_return,
    )


def _summary(many: ManySeeds, summaries: list[Summary], seconds: float) -> Summary:
    config = many.trainer.config
    returns = np.asarray([each["return_mean"] for each in summaries])
    interval = interquartile_interval(returns[:, None])
    return {
        **parts_of(config),
        "seeds": list(many.seeds),
        "env_steps": max(each["env_steps"] for each in summaries),
        "returns": returns.tolist(),
        "return_interquartile_mean": interquartile_mean(returns),
        "return_interval": None if interval is None else [float(end[0]) for end in interval],
        "return_mean": float(returns.mean()),
        "return_std": float(returns.std()),
        "eval_episodes": config.evaluation.episodes,
        "steps_to_target": [each["steps_to_target"] for each in summaries],
        "target_return": config.task.target_return,
        "wall_seconds": seconds,
        "devices": many.mesh.size,
        **platform_of(),
    }


def directories_of(run: Path) -> list[Path]:
    """List the directories of the seeds of a run.

    **Raises:** `UserError` if the file that lists the seeds is damaged.
    """
    return [_directory(run, seed) for seed in _seeds_of(run)]


def _directory(out: Path, seed: int) -> Path:
    return out / f"seed-{seed}"


def _seeds_of(run: Path) -> list[int]:
    found: Any = read_json(run / SEEDS_FILE)
    seeds = found.get("seeds") if isinstance(found, dict) else None
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int for seed in seeds):
        raise UserError(f"{str(run / SEEDS_FILE)!r} is damaged: it has no list of `seeds`")
    return seeds
