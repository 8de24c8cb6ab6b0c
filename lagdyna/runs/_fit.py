"""Run directories of fits: fit a model, continue a fit, load a fitted model."""

import dataclasses
import time
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from .._errors import UserError
from ..config import (
    ROBOT_FILE,
    FitConfig,
    Known,
    check_fit_config,
    described_robot,
    fit_config,
    robot_file,
    with_equations,
)
from ..filters import AbstractPosterior
from ..identification import (
    FitProblem,
    FitState,
    Record,
    Report,
    Sizes,
    fit_problem,
    initial_state,
    model_posterior,
    plant_of,
    starting_state,
    trainable_shapes,
)
from ..learners import Residual
from ..options import check_unchanged, config_to_toml, read_table
from ..progress import ProgressLike, progress_of
from ..results import (
    FitNotes,
    check_kind,
    check_links,
    load_checkpoint,
    locked,
    new_run,
    numbered,
    optimiser_states,
    read_notes,
    reserved,
    write_run_file,
    write_sealed,
    write_text,
)
from ..simulate import LearnedModel
from ..tasks import Plant
from ._config_of import Objects, objects_of, stored
from ._fit_checkpoint import CHECKPOINT, check_data, fit_records, keep_fit, same_fit, sizes_of
from ._fit_updates import run_updates, shown
from ._from_run import from_run
from ._reports import finished_report, reopen_fit
from ._train import Learner, Model
from ._trust import Trust


class FittedRun(NamedTuple):
    """Fit read from its directory.

    **Attributes:**

    - `config`: the resolved config.
    - `model`: the fitted model, a [`lagdyna.simulate.LearnedModel`][].
    - `report`: the content of `report.json`; `None` if the fit is not finished.
    - `records`: the lines of `metrics.jsonl`.
    - `posterior`: of the model, with the noise and temperature of the report, or `None`.
    - `sizes`: sizes and scales of the training data.
    """

    config: FitConfig
    model: LearnedModel
    report: Report | None
    records: list[Record]
    posterior: AbstractPosterior[LearnedModel] | None
    sizes: Sizes


def fit_directory(config: FitConfig) -> Path:
    """Find the first of `runs/DATA-MODEL-1`, `runs/DATA-MODEL-2`, ... that does not exist."""
    return numbered(fit_paths(config))


def fit_paths(config: FitConfig) -> Callable[[int], Path]:
    """Make the default directories of fits of a model to a file by their number."""
    model = config.model.name.rpartition(":")[2]
    name = f"{config.data.stem}-{model}"
    return lambda number: Path("runs") / f"{name}-{number}"


def fit_model(
    config: FitConfig | str | Path | Sequence[str | Path],
    out: str | Path | None = None,
    *,
    model: Model | None = None,
    learner: Learner | None = None,
    known: Known | None = None,
    residual: Residual | None = None,
    progress: ProgressLike = None,
) -> Report:
    """Fit a model to recordings and write everything about it to a run directory.

    A checkpoint is written after each twentieth of the updates;
    [`lagdyna.runs.resume_fit`][] continues from it.

    **Arguments:**

    - `config`: a [`lagdyna.config.FitConfig`][]; or a file of recordings, or several, which
        are fitted with the default options.
    - `out`: a new or empty directory; by default the first free one in `runs/`.
    - `model`, `learner`: a config of a model or of a learner in place of the config's, an
        object or a class; also a user's own.
    - `known`: known equations in place of `model.known`. Its parameters are the initial ones.
    - `residual`: residual of known equations in place of `model.residual`; see
        [`lagdyna.learners.ResidualLoss`][].
    - `progress`: as for [`lagdyna.runs.train`][].

    **Returns:** the content of `report.json`.

    **Raises:** `UserError` if the config, the recordings or the directory cannot be used;
    nothing has been written then.
    """
    begun, receiver = time.perf_counter(), progress_of(progress)
    chosen_config = _config(config, Objects(model, learner))
    problem = fit_problem(chosen_config, known=known, residual=residual)
    chosen = None if out is None else Path(out)
    with (
        reserved(chosen, fit_paths(problem.config)) as path,
        shown(receiver, problem, path, []),
    ):
        receiver.phase("prepare", 0, 1, {})
        state = starting_state(problem)  # first, since it may refuse the model
        with new_run(path):
            write_run_file(path, "fit")
            write_text(path / "config.toml", config_to_toml(problem.config))
            write_sealed(path / "sizes.json", problem.sizes._asdict())
            if robot_file(problem.config.model) is not None:
                robot = described_robot(problem.config.model)
                write_text(path / ROBOT_FILE, robot.to_json())
            return run_updates(problem, state, [], path, receiver, begun)


@from_run
def resume_fit(
    run: str | Path,
    *,
    updates: int | None = None,
    model: Model | None = None,
    learner: Learner | None = None,
    known: Known | None = None,
    residual: Residual | None = None,
    progress: ProgressLike = None,
    trust: Trust = False,
) -> Report:
    """Continue an interrupted fit; its result is that of an uninterrupted one.

    With `updates` the fit gets more updates, also after its end. Schedules follow the new total
    from here on, so the result is not that of a fit that was begun with as many.

    **Arguments:** `run`, its directory; `updates`, in total, by default those of the fit;
    `trust`, as for [`lagdyna.runs.load`][]; the others as for [`lagdyna.runs.fit_model`][],
    again if they were given there.

    **Returns:** the content of `report.json`, also of a fit that is finished.

    **Raises:** `UserError` if the directory holds no fit or a damaged one, the recordings or
    options have changed, another process is writing it, or the fit has made `updates` already.
    """
    run, receiver = Path(run), progress_of(progress)
    check_kind(run, "fit")
    report = finished_report(run)
    if report is not None and (updates is None or updates == report.get("updates")):
        return report
    check_links(run)
    objects = objects_of(model, learner, None, known, trust, residual)
    config = _kept(run, stored(run, objects, fit_config))
    longer = config if updates is None else _with_updates(config, updates)
    problem = fit_problem(longer, known=known, residual=residual)
    begun = _with_updates(problem.config, config.learner.updates)
    _check_objects(run, begun, objects)
    saved = (run / CHECKPOINT).exists()
    state = initial_state(problem.config, problem.plant) if saved else starting_state(problem)
    with locked(run):
        records: list[Record] = []
        notes = None
        if saved:
            check = same_fit(run, begun, None)
            state, notes = load_checkpoint(run / CHECKPOINT, state, check, schema=FitNotes)
            check_data(run, problem, notes)
            records = fit_records(run, notes)
        if updates is not None:
            _extend(run, problem, state, records, notes is not None)
        write_sealed(run / "sizes.json", problem.sizes._asdict())
        with shown(receiver, problem, run, records):
            return run_updates(problem, state, records, run, receiver)


def _kept(run: Path, config: FitConfig) -> FitConfig:
    """Take the updates of the checkpoint if they are more than those of `config.toml`.

    An extension writes the checkpoint first, so this is one that was interrupted.
    """
    if not (run / CHECKPOINT).exists():
        return config
    learner = tomllib.loads(read_notes(run / CHECKPOINT, FitNotes)["config"]).get("learner")
    updates = learner.get("updates") if isinstance(learner, dict) else None
    if type(updates) is int and updates > (config.learner.updates or updates):
        return _with_updates(config, updates)
    return config


def _with_updates(config: FitConfig, updates: int | None) -> FitConfig:
    learner = msgspec.structs.replace(config.learner, updates=updates)
    return dataclasses.replace(config, learner=learner)


def _extend(
    run: Path, problem: FitProblem, state: FitState, records: list[Record], begun: bool
) -> None:
    """Store another number of updates.

    **Arguments:** `begun`, whether there is a checkpoint.

    **Raises:** `UserError` if the fit has made as many already.
    """
    config, done = problem.config, sum(record["piece"] for record in records)
    if (config.learner.updates or 0) <= done:
        raise UserError(
            f"`updates` was {config.learner.updates}, and {str(run)!r} has made {done} updates "
            "already; more are accepted"
        )
    reopen_fit(run)
    if begun:  # first, since more updates in a checkpoint are known to be an extension
        keep_fit(run, problem, state, records)
    write_text(run / "config.toml", config_to_toml(config))


def load_problem(run: str | Path, *, trust: Trust = False) -> tuple[FitProblem, FitState]:
    """Load a fit with its recordings, as far as its latest checkpoint.

    **Arguments:** as for [`lagdyna.runs.load_fit`][].

    **Returns:** the problem of the fit and its state.

    **Raises:** `UserError` if the directory holds no fit or a damaged one, or the
    recordings are missing or have changed.
    """
    run = Path(run)
    check_kind(run, "fit")
    objects = objects_of(None, None, None, None, trust)
    problem = fit_problem(_kept(run, stored(run, objects, fit_config)))
    state = initial_state(problem.config, problem.plant)
    check = same_fit(run, problem.config, None)
    state, notes = load_checkpoint(run / CHECKPOINT, state, check, schema=FitNotes)
    check_data(run, problem, notes)
    return problem, state


@from_run
def load_fit(
    run: str | Path,
    *,
    model: Model | None = None,
    learner: Learner | None = None,
    known: Known | None = None,
    trust: Trust = False,
) -> FittedRun:
    """Load a fit from its directory, finished or not; its recordings are not needed.

    **Arguments:** `run`, the directory; `trust`, as for [`lagdyna.runs.load`][]; the others as
    for [`lagdyna.runs.fit_model`][], again if they were given there.

    **Raises:** `UserError` if the directory holds no fit or a damaged one, or an object that
    is given has other options.
    """
    run = Path(run)
    check_kind(run, "fit")
    objects = objects_of(model, learner, None, known, trust)
    config = _kept(run, stored(run, objects, fit_config))
    sizes = sizes_of(run)
    config, plant = _without_data(config, sizes, known)
    _check_objects(run, config, objects)
    state = initial_state(config, plant)
    optional = optimiser_states(state)
    check = same_fit(run, config, sizes)
    state, notes = load_checkpoint(run / CHECKPOINT, state, check, optional, FitNotes)
    report = finished_report(run)
    records = fit_records(run, notes)
    posterior = model_posterior(config, plant, state, report)
    return FittedRun(config, LearnedModel(state.chosen), report, records, posterior, sizes)


def _config(given: Any, objects: Objects) -> FitConfig:
    """Convert what a caller gives to a checked config."""
    if isinstance(given, str | Path | list | tuple):
        return check_fit_config(FitConfig(data=given, **objects.given))
    if not isinstance(given, FitConfig):
        is_class = isinstance(given, type)
        what = f"the class {given.__name__}" if is_class else f"of type {type(given).__name__}"
        raise UserError(
            f"`config` was {what}; a FitConfig or the name of a file of recordings is accepted"
        )
    return check_fit_config(dataclasses.replace(given, **objects.given))


def _without_data(
    config: FitConfig, sizes: Sizes, known: Known | None
) -> tuple[FitConfig, Plant]:
    """Resolve the config of a fit whose recordings are not at hand, and describe its system."""
    plant = plant_of(config, sizes)
    recorded = () if config.loss.needs is None else (config.loss.needs,)
    config = config.resolved(plant, recorded)
    # The equations of a model of whole steps are only in its loss.
    if known is not None or not config.model.discrete:
        plant = with_equations(plant, config.model, known=known)
    return config.resolved(plant, recorded, [trainable_shapes(config, plant)]), plant


def _check_objects(run: Path, config: FitConfig, objects: Objects) -> None:
    """Refuse objects with other options than those of the run."""
    if objects.given:
        before, now = read_table(run / "config.toml"), tomllib.loads(config_to_toml(config))
        check_unchanged(str(run), before, now)
