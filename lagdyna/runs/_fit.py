"""Run directories of fits: fit a model, continue a fit, load a fitted model."""

import dataclasses
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .._errors import UserError
from ..config import FitConfig, Known, check_fit_config, fit_config, with_equations
from ..filters import AbstractPosterior
from ..identification import (
    FitProblem,
    FitState,
    Record,
    Report,
    Sizes,
    draw_fit,
    fit_loop,
    fit_problem,
    fit_report,
    initial_state,
    model_posterior,
    plant_of,
    trainable_shapes,
)
from ..learners import Residual
from ..options import check_unchanged, config_to_toml, read_table
from ..results import (
    check_kind,
    load_checkpoint,
    new_directory,
    numbered,
    read_first_lines,
    read_json,
    save_checkpoint,
    write_json,
    write_json_lines,
    write_run_file,
    write_text,
)
from ..simulate import LearnedModel
from ..tasks import Plant
from ._config_of import Objects, stored
from ._train import Learner, Model

FitProgress = Callable[[dict[str, Any]], None]

_CHECKPOINT = Path("checkpoint") / "training.npz"


class FittedRun(NamedTuple):
    """Fit read from its directory.

    **Attributes:**

    - `config`: the resolved config.
    - `model`: the fitted model, a [`lagdyna.simulate.LearnedModel`][].
    - `report`: the content of `report.json`; `None` if the fit is not finished.
    - `records`: the lines of `metrics.jsonl`.
    - `posterior`: of the model, with the noise and the temperature in the report; `None` if no
        filter learned it.
    """

    config: FitConfig
    model: LearnedModel
    report: Report | None
    records: list[Record]
    posterior: AbstractPosterior[LearnedModel] | None


def fit_directory(config: FitConfig) -> Path:
    """Find the first of `runs/DATA-MODEL-1`, `runs/DATA-MODEL-2`, ... that does not exist."""
    model = config.model.name.rpartition(":")[2]
    name = f"{config.data.stem}-{model}"
    return numbered(lambda number: Path("runs") / f"{name}-{number}")


def fit_model(
    config: FitConfig | str | Path | Sequence[str | Path],
    out: str | Path | None = None,
    *,
    model: Model | None = None,
    learner: Learner | None = None,
    known: Known | None = None,
    residual: Residual | None = None,
    progress: FitProgress | None = None,
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
    - `progress`: callback that receives each line of `metrics.jsonl`, a dictionary.

    **Returns:** the content of `report.json`.

    **Raises:** `UserError` if the config, the recordings or the directory cannot be used;
    nothing has been written then.
    """
    given = _config(config, Objects(model, learner))
    problem = fit_problem(given, known=known, residual=residual)
    state = initial_state(problem.config, problem.plant)
    out = new_directory(fit_directory(problem.config) if out is None else Path(out))
    write_run_file(out, "fit")
    write_text(out / "config.toml", config_to_toml(problem.config))
    write_json(out / "sizes.json", problem.sizes._asdict())
    return _run(problem, state, [], out, progress)


def resume_fit(
    run: str | Path,
    *,
    model: Model | None = None,
    learner: Learner | None = None,
    known: Known | None = None,
    residual: Residual | None = None,
    progress: FitProgress | None = None,
) -> Report:
    """Continue an interrupted fit; its result is that of an uninterrupted one.

    **Arguments:** `run`, its directory; the others as for [`lagdyna.runs.fit_model`][], again
    if they were given there.

    **Returns:** the content of `report.json`, also of a fit that is finished.

    **Raises:** `UserError` if the directory holds no fit or a damaged one, or the recordings
    or options have changed.
    """
    run = Path(run)
    check_kind(run, "fit")
    if (run / "report.json").exists():
        return read_json(run / "report.json")
    objects = Objects(model, learner)
    config = stored(run, objects, fit_config)
    problem = fit_problem(config, known=known, residual=residual)
    _check_objects(run, problem.config, objects)
    state = initial_state(problem.config, problem.plant)
    write_json(run / "sizes.json", problem.sizes._asdict())
    if not (run / _CHECKPOINT).exists():
        return _run(problem, state, [], run, progress)
    state, notes = load_checkpoint(run / _CHECKPOINT, state)
    if notes["data"] != problem.digest:
        raise UserError(
            f"`data.file` {config.data.title!r} has changed since {str(run)!r} was begun; "
            "restore the same data to continue, or fit the new data in a new directory"
        )
    records = read_first_lines(run / "metrics.jsonl", notes["records"])
    return _run(problem, state, records, run, progress)


def load_fit(
    run: str | Path,
    *,
    model: Model | None = None,
    learner: Learner | None = None,
    known: Known | None = None,
) -> FittedRun:
    """Load a fit from its directory, finished or not; its recordings are not needed.

    **Arguments:** `run`, the directory; the others as for [`lagdyna.runs.fit_model`][], again
    if they were given there.

    **Raises:** `UserError` if the directory holds no fit or a damaged one, or an object that
    is given has other options.
    """
    run = Path(run)
    check_kind(run, "fit")
    objects = Objects(model, learner)
    config = stored(run, objects, fit_config)
    config, plant = _without_data(config, _sizes(run), known)
    _check_objects(run, config, objects)
    state, notes = load_checkpoint(run / _CHECKPOINT, initial_state(config, plant))
    path = run / "report.json"
    report = read_json(path) if path.exists() else None
    records = read_first_lines(run / "metrics.jsonl", notes["records"])
    posterior = model_posterior(config, state, report)
    return FittedRun(config, LearnedModel(state.transition), report, records, posterior)


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


def _sizes(run: Path) -> Sizes:
    path = run / "sizes.json"
    found = read_json(path)
    try:
        named: dict[str, Any] = {
            name: tuple(x) if isinstance(x, list) else x for name, x in found.items()
        }
        return Sizes(**named)
    except (AttributeError, TypeError) as error:
        raise UserError(f"{str(path)!r} is not whole: it is damaged ({error})") from error


def _run(
    problem: FitProblem,
    state: FitState,
    records: list[Record],
    out: Path,
    progress: FitProgress | None,
) -> Report:
    """Run the updates that are left, and write the report and the figures."""

    def keep(state: FitState, records: list[Record]) -> None:
        write_json_lines(out / "metrics.jsonl", records)
        (out / "checkpoint").mkdir(exist_ok=True)
        # The checkpoint comes last: it says how many lines of metrics are valid.
        notes = {"records": len(records), "data": problem.digest}
        save_checkpoint(out / _CHECKPOINT, state, notes)
        if progress is not None:
            progress(records[-1])

    state, records = fit_loop(problem, state, records, keep)
    report, drawn = fit_report(problem, state, records)
    draw_fit(out, drawn, records, problem.config.model.name)
    write_json(out / "report.json", report)
    return report
