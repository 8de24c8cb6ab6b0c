"""Files of a training run's directory."""

import dataclasses
import os
import platform
import tomllib
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

from .._errors import UserError
from ..config import Config
from ..identification import share_of
from ..options import check_unchanged, config_to_toml, with_newer_options
from ..reports import try_report
from ..results import (
    NUMERICS,
    SeedsSummary,
    TrainNotes,
    TrainRecord,
    TrainSummary,
    digest_of,
    digest_of_lines,
    evaluations_of,
    load_checkpoint,
    make_directory,
    numbered,
    read_first_lines,
    read_metrics,
    read_notes,
    read_sealed,
    save_checkpoint,
    steps_to,
    write_json_lines,
    write_run_file,
    write_sealed,
    write_text,
)
from ..runtime import Spaces
from ..tasks import EnvironmentFault, bounded_with_spaces, suite_name, suite_task
from ..training import (
    PICTURE,
    Record,
    Trainer,
    TrainingState,
    draw,
    start_seeds,
    still_going,
)
from ._machine import commit, cores, processor

Summary = dict[str, Any]


def default_directory(config: Config) -> Path:
    """Find the first of `runs/TASK-1`, `runs/TASK-2`, ... that does not exist."""
    return numbered(run_paths(config))


def run_paths(config: Config) -> Callable[[int], Path]:
    """Make the default directories of runs of a task by their number."""
    name = config.task.env_id.rpartition(":")[2].replace("/", "-")
    return lambda number: Path("runs") / f"{name}-{number}"


def begin_directory(out: Path, trainer: Trainer, spaces: Spaces | None = None) -> None:
    """Write what a run's directory holds before its first round.

    **Arguments:** `spaces`, of the environment.
    """
    observation, actions = (None, None) if spaces is None else spaces
    steps = trainer.config.steps
    write_run_file(out, "train", trainer.given, steps, observation, actions)
    write_text(out / "config.toml", config_to_toml(trainer.config))
    make_directory(out / "checkpoint")


def write_progress(
    out: Path,
    config: Config,
    training: TrainingState,
    records: list[Record],
    seconds: float,
    line: Sequence[Record] = (),
    now: dict[str, Any] | None = None,
) -> None:
    """Write metrics and checkpoint of a run after a training phase or a round.

    **Arguments:** `line`, of the round in progress, and `now`, its notes, if there is one.
    """
    write_json_lines(out / "metrics.jsonl", [*records, *line])
    # The checkpoint comes last: it says how many lines of metrics are valid.
    steps = int(training.env_steps)
    notes = notes_of(config, len(records), seconds, digest_of_lines(records), steps, now)
    save_checkpoint(checkpoint_of(out), training, notes)


def notes_of(
    config: Config,
    records: Any,
    seconds: float,
    digest: Any,
    steps: int,
    now: dict[str, Any] | None,
) -> dict[str, Any]:
    """Create the notes of a checkpoint.

    **Arguments:** `records`, `digest`: number and digest of the lines of metrics, or those of
    each seed; `steps`, of the environment; `now`, the round in progress.
    """
    return {
        "records": records,
        "digest": digest,
        "wall_seconds": seconds,
        "env_steps": steps,
        "config": config_to_toml(config),
        "lagdyna": version("lagdyna"),
        "optax": version("optax"),
        "round": now,
    }


def load_training(
    run: Path, trainer: Trainer, optional: Sequence[str] = ()
) -> tuple[TrainingState, dict[str, Any]]:
    """Load a run's training state and notes as its latest training phase left them.

    **Arguments:** `optional`, parts that need not be as expected; see
    [`lagdyna.results.load_checkpoint`][].

    **Raises:** `UserError` if they are damaged, or of another config than the trainer's.
    """

    def check(notes: dict[str, Any]) -> None:
        check_notes(run, notes, trainer.config)

    # First, since building what is expected takes seconds.
    check(read_notes(checkpoint_of(run), TrainNotes))
    like = trainer.init()
    return load_checkpoint(checkpoint_of(run), like, check, optional, TrainNotes)


def records_of(run: Path, count: int, digest: str) -> list[Record]:
    """Read the lines of metrics that a checkpoint refers to.

    **Raises:** `UserError` if they are not those that were written.
    """
    return read_first_lines(run / "metrics.jsonl", count, digest, TrainRecord)


def check_notes(run: Path, notes: dict[str, Any], config: Config) -> None:
    """Refuse a checkpoint of another config.

    **Raises:** `UserError` that names what differs.
    """
    # As tables, since the parts of a stored config need not be importable.
    now = tomllib.loads(config_to_toml(config))
    try:
        before = with_newer_options(tomllib.loads(notes["config"]), config)
    except ValueError as error:
        raise UserError(
            f"{str(checkpoint_of(run))!r} is damaged: its config is not TOML ({error})"
        ) from error
    for table in (before, now):
        for section, name in _LIMITS:
            table.get(section, {}).pop(name, None)
    check_unchanged(str(run), before, now)


# Limits of episodes, which a run whose environment does not end may be resumed with.
_LIMITS = (("task", "max_episode_steps"), ("evaluation", "max_steps"))


def failed_run(fault: EnvironmentFault, run: Path) -> UserError:
    """Create the error of a run whose environment failed, which says what is kept."""
    if checkpoint_of(run).exists():
        held = "what was learned until the latest checkpoint is kept, and"
    else:
        held = "no training phase was finished;"
    return UserError(f"{fault}; {held} `lagdyna resume {run}` goes on")


def checkpoint_of(run: Path) -> Path:
    """Path of the checkpoint in a run's directory."""
    return run / "checkpoint" / "training.npz"


def finished_summary(run: Path, seeds: list[Path] | None = None) -> Summary | None:
    """Read the summary of a finished run; `None` if it is not finished.

    **Arguments:** `seeds`, the directories of the seeds, of a run of several.

    **Raises:** `UserError` if it is damaged, or does not belong to the metrics.
    """
    summary = run / "summary.json"
    if not os.path.lexists(summary):
        return None
    try:
        if seeds is None:
            digest = digest_of_lines(read_metrics(run / "metrics.jsonl", TrainRecord))
        else:
            digest = digest_of_seeds(
                [read_metrics(each / "metrics.jsonl", TrainRecord) for each in seeds]
            )
        schema = TrainSummary if seeds is None else SeedsSummary
        return read_sealed(summary, schema, digest)[1]
    except UserError as error:
        raise UserError(
            f"{error}; once {str(summary)!r} is deleted, `lagdyna resume` writes it anew, "
            "unless other files are damaged too"
        ) from error


def digest_of_seeds(records: list[list[Record]]) -> str:
    """Compute the digest of the lines of metrics of several seeds."""
    return digest_of([digest_of_lines(lines) for lines in records])


def probe(config: Config) -> tuple[Config, Spaces]:
    """Create the environment once, so that one that does not fit is refused at the start.

    **Returns:** the config, with the environment's action bounds if they are not symmetric,
    and the environment's spaces.

    **Raises:** `UserError` if it cannot be made, does not fit its description, or its episodes
    are longer than evaluations may be.
    """
    try:
        task, spaces = bounded_with_spaces(config.task)
    except ValueError as error:
        raise UserError(str(error)) from error
    name, evaluation = suite_name(config.task), config.evaluation
    # The length of other environments' episodes is known only when one ends.
    if name is not None and evaluation.max_steps < suite_task(name).horizon:
        episodes = evaluation.episodes
        raise still_going(config.task, evaluation.max_steps, episodes, episodes)
    same = task == config.task
    return (config if same else dataclasses.replace(config, task=task)), spaces


def finish(
    trainer: Trainer,
    training: TrainingState,
    records: list[Record],
    seconds: float,
    out: Path,
) -> Summary:
    """Write pictures, summary and report of a finished run."""
    config = trainer.config
    draw(trainer, training, records, out, int(start_seeds(config.seed, PICTURE, 1)[0]))
    summary = summary_of(config, records, seconds)
    return reported(out, write_sealed(out / "summary.json", summary, digest_of_lines(records)))


def reported(out: Path, result: Summary) -> Summary:
    """Write the report of a run whose result has been written.

    **Returns:** the result, with a note if the report could not be written.
    """
    notes = try_report(out)
    return {**result, "notes": [*result.get("notes", []), *notes]} if notes else result


def parts_of(config: Config) -> Summary:
    """List the names of the parts for a summary; `None` for parts that the run does not use."""
    return {
        "task": config.task.env_id,
        "agent": config.agent.name,
        "model": None if config.model is None else config.model.name,
        "learner": None if config.learner is None else config.learner.name,
        "solver": None if config.solver is None else config.solver.name,
    }


def platform_of() -> Summary:
    """Describe the code, the machine and the versions of the packages."""
    device = jax.devices()[0]
    packages = ("lagdyna", "jax", "equinox", "diffrax", "optax", "gymnasium", "numpy")
    return {
        "numerics": NUMERICS,
        "commit": commit(),
        "device": f"{device.platform} ({device.device_kind})",
        "machine": {"processor": processor(), "cores": cores()},
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in packages},
        },
    }


def summary_of(config: Config, records: list[Record], seconds: float) -> Summary:
    """Create the content of `summary.json`."""
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
        "notes": model_notes(config, last),
        **platform_of(),
    }


# Error of a step, of the change in a step, from which a model is said to have learned nothing.
_POOR = 0.9


def model_notes(config: Config, last: Record) -> list[str]:
    """Say in words that a model is wrong.

    **Arguments:** `last`, the last line of metrics.
    """
    loss = last.get("model_loss")
    if loss is None:
        return []
    if getattr(config.loss, "norm", None) == "squared":
        loss = float(np.sqrt(loss))
    if not loss > _POOR:
        return []
    return [
        f"the one-step error of the model is {share_of(loss)} the change in a step, so it "
        "predicts no better than no change; compare the task with its environment by "
        "`lagdyna check-task`, and try more `learner.updates` or another `model`"
    ]
