"""Training runs of several seeds as one program, and what they come to together."""

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np

from ..tasks import ObservationError
from ._checkpoint import load_checkpoint, save_checkpoint
from ._config import Config
from ._curves import curves, evaluations_of
from ._differences import check_unchanged
from ._errors import UserError
from ._files import SEEDS_FILE, new_directory, read_first_lines, read_json, write_json
from ._plots import plot_learning_curves
from ._progress import AbstractProgress, Silence
from ._rounds import Records, run_rounds
from ._run import (
    Summary,
    begin_directory,
    checkpoint_of,
    config_in,
    config_of,
    default_directory,
    finish,
    finished_summary,
    parts_of,
    platform_of,
    probe,
    write_round,
)
from ._seeds import ManySeeds
from ._statistics import interquartile_interval, interquartile_mean
from ._toml import check_config, config_to_toml
from ._trainer import RewardFn, Trainer, Training


def train_seeds(
    config: Config,
    seeds: int,
    out: str | Path | None = None,
    *,
    reward: RewardFn | None = None,
    progress: AbstractProgress | None = None,
) -> Summary:
    """Trains several seeds as one program, spread over the devices that there are.

    All trainings are stacked, and every program is mapped over them. As many devices share
    them as divide their number; nothing passes between devices. Each seed gets a directory
    `seed-...` in `out`, the same as [`lagdyna.experiments.train`][] would make and to be read
    by all that reads those; beside them stand `learning_curve.png` and `summary.json` of all.

    **Arguments:**

    - `config`: what to do. Its `seed` is the first one.
    - `seeds`: how many.
    - `out`, `reward`, `progress`: as for [`lagdyna.experiments.train`][].

    **Returns:** the contents of `summary.json` in `out`.

    **Raises:** `UserError` if `seeds` is not positive or so many do not fit into memory, or
    as [`lagdyna.experiments.train`][]; nothing has been written then.
    """
    if seeds < 1:
        raise UserError(f"`seeds` was {seeds}: expected `int` >= 1")
    config = check_config(config)
    probe(config)
    crew = ManySeeds(Trainer(config, reward), range(config.seed, config.seed + seeds))
    training = crew.start()
    out = new_directory(default_directory(config) if out is None else Path(out))
    for seed in crew.seeds:
        _directory(out, seed).mkdir()
        begin_directory(_directory(out, seed), _trainer_of(crew, seed, reward))
    (out / "checkpoint").mkdir()
    write_json(out / SEEDS_FILE, {"seeds": list(crew.seeds)})
    records: Records = [[] for _ in crew.seeds]
    return _continue(crew, training, records, 0.0, out, reward, progress or Silence())


def is_several(run: str | Path) -> bool:
    """Whether a directory holds a run of [`lagdyna.experiments.train_seeds`][]."""
    return (Path(run) / SEEDS_FILE).exists()


def resume_seeds(
    run: str | Path,
    *,
    reward: RewardFn | None = None,
    progress: AbstractProgress | None = None,
) -> Summary:
    """Goes on with an interrupted [`lagdyna.experiments.train_seeds`][], to the same end.

    **Arguments:** as for [`lagdyna.experiments.resume`][].

    **Returns:** the contents of the `summary.json` over all seeds.

    **Raises:** `UserError` if the directory holds no such run, a damaged one, or one whose
    configs are not those that it was begun with.
    """
    run = Path(run)
    if not is_several(run):
        raise UserError(
            f"`run` was {str(run)!r}, which holds no run of several seeds (no `{SEEDS_FILE}`); "
            "a directory that `lagdyna train --seeds` wrote is accepted"
        )
    finished = finished_summary(run)
    if finished is not None:
        return finished
    seeds = _seeds_of(run)
    config = config_of(_directory(run, seeds[0]))
    probe(config)
    crew = ManySeeds(Trainer(config, reward), seeds)
    training, records, seconds = crew.start(), [[] for _ in seeds], 0.0
    if checkpoint_of(run).exists():
        training, notes = load_checkpoint(
            checkpoint_of(run), training, lambda notes: _check(run, seeds, notes)
        )
        training, seconds = crew.place(training), notes["wall_seconds"]
        records = [
            read_first_lines(_directory(run, seed) / "metrics.jsonl", count)
            for seed, count in zip(seeds, notes["records"], strict=True)
        ]
    return _continue(crew, training, records, seconds, run, reward, progress or Silence())


def _continue(
    crew: ManySeeds,
    training: Training,
    records: Records,
    seconds: float,
    out: Path,
    reward: RewardFn | None,
    progress: AbstractProgress,
) -> Summary:
    config, start = crew.trainer.config, time.perf_counter() - seconds
    directories = [_directory(out, seed) for seed in crew.seeds]

    def keep(training: Training, records: Records) -> None:
        now = time.perf_counter() - start
        for i, directory in enumerate(directories):
            one = dataclasses.replace(config, seed=crew.seeds[i])
            write_round(directory, one, crew.one(training, i), records[i], now)
        # What a resumed run goes on from: the seeds' own checkpoints may be of two rounds if
        # it is interrupted between them. It vouches for their metrics, and so comes last.
        notes = {
            "records": [len(lines) for lines in records],
            "wall_seconds": now,
            "config": config_to_toml(config),
        }
        save_checkpoint(checkpoint_of(out), training, notes)

    begun = int(crew.numbers(training.env_steps).max())
    progress.begin(config, out, begun, crew.seeds)
    try:
        training, records = run_rounds(crew, training, records, keep, progress)
        summaries = []
        for i, seed in enumerate(crew.seeds):
            progress.phase("pictures", i, len(crew.seeds), {})
            trainer, one = _trainer_of(crew, seed, reward), crew.one(training, i)
            now = time.perf_counter() - start
            summaries.append(finish(trainer, one, records[i], now, directories[i]))
        times, returns = curves([evaluations_of(lines) for lines in records])
        plot_learning_curves(
            out / "learning_curve.png",
            times,
            [interquartile_mean(column) for column in returns.T],
            interquartile_interval(returns),
            returns,
            f"{config.task.env_id}, {len(crew.seeds)} seeds",
            config.task.target_return,
        )
        summary = _summary(crew, summaries, time.perf_counter() - start)
        write_json(out / "summary.json", summary)
        return summary
    except ObservationError as error:
        raise UserError(str(error)) from error
    finally:
        progress.end()


def _summary(crew: ManySeeds, summaries: list[Summary], seconds: float) -> Summary:
    config = crew.trainer.config
    returns = np.asarray([each["return_mean"] for each in summaries])
    interval = interquartile_interval(returns[:, None])
    return {
        **parts_of(config),
        "seeds": list(crew.seeds),
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
        "devices": crew.mesh.size,
        **platform_of(),
    }


def _trainer_of(crew: ManySeeds, seed: int, reward: RewardFn | None) -> Trainer:
    """The trainer of a run of that seed alone; it shares the crew's programs."""
    return Trainer(dataclasses.replace(crew.trainer.config, seed=seed), reward)


def _check(run: Path, seeds: list[int], notes: dict[str, Any]) -> None:
    """Refuses seeds whose configs are not those that the run was begun with."""
    for seed in seeds if "config" in notes else ():
        begun = dataclasses.replace(config_in(notes), seed=seed)
        directory = _directory(run, seed)
        check_unchanged(str(directory), begun, config_of(directory))


def directories_of(run: Path) -> list[Path]:
    """The directories of the seeds' own runs.

    **Raises:** `UserError` if what says which there are is damaged.
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
