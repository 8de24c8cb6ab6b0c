"""Training runs of several seeds as one program."""

import dataclasses
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from .._errors import UserError
from ..config import Config, Known, check_config, check_functions, known_option
from ..models import RewardFn
from ..options import config_to_toml
from ..plot import learning_curves, save
from ..progress import AbstractProgress, ProgressLike, progress_of
from ..results import (
    SEEDS_FILE,
    SeedsFile,
    SeedsNotes,
    check_kind,
    check_links,
    digest_of_lines,
    load_checkpoint,
    locked,
    make_directory,
    new_run,
    read_sealed,
    reserved,
    save_checkpoint,
    write_run_file,
    write_sealed,
    write_text,
)
from ..statistics import interquartile_interval, interquartile_mean
from ..tasks import EnvironmentFault, TaskSpec
from ..training import (
    ManySeeds,
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
    check_notes,
    checkpoint_of,
    digest_of_seeds,
    failed_run,
    finish,
    finished_summary,
    notes_of,
    parts_of,
    platform_of,
    probe,
    records_of,
    reported,
    run_paths,
    write_progress,
)
from ._extend import extend_seeds, kept_config
from ._from_run import check_reward, from_run
from ._machine import commit
from ._train import Agent, Learner, Model
from ._trust import Trust


def train_seeds(
    config: Config | TaskSpec | str,
    seeds: int,
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
    """Train several seeds as one program, spread over the available devices.

    The training states are stacked, and every program is mapped over them. Devices share the
    seeds equally; nothing passes between devices. Each seed gets a directory `seed-...` in
    `out`, the same as [`lagdyna.runs.train`][] would write; `learning_curve.png` and
    `summary.json` of all seeds stand beside them.

    **Arguments:**

    - `config`: as for [`lagdyna.runs.train`][]; its `seed` is the first one.
    - `seed`: the first one, in place of the config's.
    - `seeds`: how many.
    - the others as for [`lagdyna.runs.train`][].

    **Returns:** the content of `summary.json` in `out`.

    **Raises:** `UserError` if `seeds` is not positive or so many do not fit into memory, or as
    [`lagdyna.runs.train`][]; nothing has been written then.
    """
    if seeds < 1:
        raise UserError(f"`seeds` was {seeds}: expected `int` >= 1")
    parts = Objects(model, learner, agent)
    config = check_config(training_config(config, parts, steps=steps, seed=seed))
    config, spaces = probe(config)
    progress = progress_of(progress)
    check_environment(config, progress)
    numbers = range(config.seed, config.seed + seeds)
    trainer = Trainer(config, reward, known)
    check_functions(trainer.plant, reward, known_option(config, known))
    many = ManySeeds(trainer, numbers)
    training = many.start()
    chosen = None if out is None else Path(out)
    with reserved(chosen, run_paths(config)) as path, new_run(path), ExitStack() as stack:
        write_run_file(path, "seeds", many.trainer.given)
        write_sealed(path / SEEDS_FILE, {"seeds": list(many.seeds)})
        make_directory(path / "checkpoint")
        for seed in many.seeds:
            directory = stack.enter_context(new_run(_directory(path, seed)))
            begin_directory(directory, many.trainer.with_seed(seed), spaces)
        records: Records = [[] for _ in many.seeds]
        return _continue(many, training, records, 0.0, path, progress)


@from_run
def resume_seeds(
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
    """Continue an interrupted [`lagdyna.runs.train_seeds`][], to the same result.

    **Arguments:** as for [`lagdyna.runs.resume_run`][].

    **Returns:** the content of `summary.json` over all seeds.

    **Raises:** `UserError` if the directory holds no such run, a damaged one, or one whose
    configs are not those that it was begun with.
    """
    run = Path(run)
    check_kind(run, "seeds")
    seeds, objects = _seeds_of(run), objects_of(model, learner, agent, known, trust)
    directories = directories_of(run)
    if not all((each / "config.toml").exists() for each in directories):
        raise UserError(
            f"{str(run)!r} lacks the config of a seed: the run was stopped before it began, or "
            "a file was deleted; start it again in a new directory"
        )
    stored = config_of(_directory(run, seeds[0]), objects)
    config = kept_config(run, stored)
    finished = finished_summary(run, directories)
    if finished is not None and steps in (None, config.steps):
        return finished
    check_links(run)
    check_reward(run, reward)
    config, _ = probe(config)
    many = ManySeeds(Trainer(config, reward, known), seeds)
    with locked(run, *directories):
        if steps is not None and steps != config.steps:
            many = extend_seeds(run, many, steps, directories)
        elif config != stored:
            for seed, directory in zip(seeds, directories, strict=True):
                own = dataclasses.replace(config, seed=seed)
                write_text(directory / "config.toml", config_to_toml(own))
        training, records, seconds, begun = many.start(), [[] for _ in seeds], 0.0, None
        if checkpoint_of(run).exists():

            def check(notes: dict[str, Any]) -> None:
                for seed in seeds:
                    directory = _directory(run, seed)
                    own = dataclasses.replace(config_of(directory, objects), seed=config.seed)
                    check_notes(directory, notes, own)

            path = checkpoint_of(run)
            training, notes = load_checkpoint(path, training, check, schema=SeedsNotes)
            if {len(notes["records"]), len(notes["digest"])} != {len(seeds)}:
                raise UserError(
                    f"{str(path)!r} is not of the {len(seeds)} seeds in "
                    f"{str(run / SEEDS_FILE)!r}; one of them is damaged or of another run"
                )
            training, seconds = many.place(training), notes["wall_seconds"]
            lines = zip(seeds, notes["records"], notes["digest"], strict=True)
            records = [records_of(_directory(run, seed), *each) for seed, *each in lines]
            begun = Round.of_notes(notes.get("round"), str(path), len(seeds))
        return _continue(many, training, records, seconds, run, progress_of(progress), begun)


def _continue(
    many: ManySeeds,
    training: TrainingState,
    records: Records,
    seconds: float,
    out: Path,
    progress: AbstractProgress,
    begun: Round | None = None,
) -> Summary:
    config, start = many.trainer.config, time.perf_counter() - seconds
    commit()  # cached now, since the clone may change during the run
    directories = [_directory(out, seed) for seed in many.seeds]

    def keep(training: TrainingState, records: Records, phase: Round | None) -> None:
        now = time.perf_counter() - start
        lines: Records = [[] for _ in many.seeds]
        if phase is not None:
            lines = phase.lines(many, training)
        for i, directory in enumerate(directories):
            one = dataclasses.replace(config, seed=many.seeds[i])
            state, part = many.one(training, i), None if phase is None else phase.notes_of(i)
            write_progress(directory, one, state, records[i], now, lines[i], part)
        # Written last, since it says how many lines of the seeds' metrics are valid. After an
        # interruption the checkpoints of the seeds may be of two phases.
        counts = [len(lines) for lines in records]
        metrics = [digest_of_lines(lines) for lines in records]
        steps = int(many.to_numpy(training.env_steps).max())
        whole = None if phase is None else phase.to_notes()
        notes = notes_of(config, counts, now, metrics, steps, whole)
        save_checkpoint(checkpoint_of(out), training, notes)

    steps = int(many.to_numpy(training.env_steps).max())
    progress.begin(config, out, steps, many.seeds)
    try:
        training, records = run_rounds(many, training, records, keep, progress, begun)
        summaries = []
        for i, seed in enumerate(many.seeds):
            progress.phase("pictures", i, len(many.seeds), {})
            trainer, one = many.trainer.with_seed(seed), many.one(training, i)
            now = time.perf_counter() - start
            summaries.append(finish(trainer, one, records[i], now, directories[i]))
        _plot(many, records, out)
        summary = seeds_summary(many, summaries, time.perf_counter() - start)
        written = write_sealed(out / "summary.json", summary, digest_of_seeds(records))
        return reported(out, written)
    except EnvironmentFault as fault:
        raise failed_run(fault, out) from fault
    finally:
        progress.end()


def _plot(many: ManySeeds, records: Records, out: Path) -> None:
    task = many.trainer.config.task
    title = f"{task.env_id}, {len(many.seeds)} seeds"
    figure = learning_curves(records, title=title, target=task.target_return)
    save(figure, out / "learning_curve.png")


def seeds_summary(many: ManySeeds, summaries: list[Summary], seconds: float) -> Summary:
    """Create the content of `summary.json` of several seeds."""
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
    found, _ = read_sealed(run / SEEDS_FILE, SeedsFile)
    if not found.seeds:
        raise UserError(f"{str(run / SEEDS_FILE)!r} is damaged: it has no list of `seeds`")
    return found.seeds
