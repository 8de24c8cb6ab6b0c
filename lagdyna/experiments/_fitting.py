import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray, PyTree

from ..data import Experience
from ..learners import (
    AbstractFilter,
    AbstractPosterior,
    ForwardLoss,
    GradientLearner,
    InverseLoss,
    LevenbergMarquardtLearner,
    MotionResidual,
    MultiStepLoss,
    OneStepLoss,
    Residual,
    ResidualLoss,
    learn,
    root_mean_square,
)
from ..mechanics import MechanicalSystem, State
from ..simulate import AbstractTransition
from ._checkpoint import load_checkpoint, save_checkpoint
from ._config import is_filter
from ._errors import UserError
from ._files import (
    new_directory,
    numbered,
    read_first_lines,
    read_json,
    write_json,
    write_json_lines,
    write_text,
)
from ._filters import check_memory, chosen_filter, make_filter
from ._fit_build import (
    Known,
    Sizes,
    build,
    known_system,
    learned_part,
    sizes_of,
    with_learned_part,
)
from ._fit_config import FitConfig
from ._fit_data import Prepared, batches_of, completed, digest_of, prepare
from ._fit_plots import draw_fit
from ._fitted_model import FittedModel
from ._held import HoldingLoss, divided, parameter_name
from ._parts import falling, make_optimiser, number_of_weights
from ._report import calibration_of, finite, judge
from ._toml import config_to_toml, convert, read_table
from ._user_part import user_part

Progress = Callable[[dict[str, Any]], None]
FitLearner = GradientLearner | LevenbergMarquardtLearner | AbstractFilter


class FittedRun(NamedTuple):
    """A fit read back from its directory.

    **Attributes:**

    - `config`: what determined it.
    - `model`: a [`lagdyna.experiments.FittedModel`][].
    - `report`: the contents of `report.json`, `None` if the fit was interrupted.
    - `records`: the lines of `metrics.jsonl`.
    - `posterior`: of the model, a [`lagdyna.learners.AbstractPosterior`][], with the noise
        and the temperature that the report tells; `None` if no filter learned it.
    """

    config: FitConfig
    model: FittedModel
    report: dict[str, Any] | None
    records: list[dict[str, Any]]
    posterior: AbstractPosterior[FittedModel] | None


def fit_directory(config: FitConfig) -> Path:
    """The first of `runs/DATA-MODEL-1`, `runs/DATA-MODEL-2`, ... that does not exist."""
    name = f"{Path(config.data.file).stem}-{config.model.name}"
    return numbered(lambda number: Path("runs") / f"{name}-{number}")


def fit_config(table: dict[str, Any]) -> FitConfig:
    """The config that a table describes; what it does not name has its default.

    **Raises:** `UserError` naming the key, what was given, and what is accepted.
    """
    if not isinstance(table.get("data"), dict) or "file" not in table["data"]:
        raise UserError("`data.file` is missing: the file to learn from, say data.npz")
    return convert(table, FitConfig)


def fit_model(
    config: FitConfig,
    out: str | Path | None = None,
    *,
    known: Known | None = None,
    residual: Residual | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Fits a model to recordings, and leaves everything about it in a run directory.

    After every twentieth of the updates a checkpoint is written, from which
    [`lagdyna.experiments.resume_fit`][] goes on.

    **Arguments:**

    - `config`: what to do.
    - `out`: a new or empty directory; by default the first free one in `runs/`.
    - `known`: the system that the models `known`, `residual` and `constrained-mlp` know,
        in place of `model.known`: its arrays are where learning begins.
    - `residual`: the governing equations of `constrained-mlp`, in place of `loss.residual`;
        see [`lagdyna.learners.ResidualLoss`][].
    - `progress`: called with each line of `metrics.jsonl`, a dictionary.

    **Returns:** the contents of `report.json`.

    **Raises:** `UserError` if the config, the data or the directory cannot be used;
    nothing has been written then.
    """
    problem = _problem(config, known, residual)
    initial = _initial(problem.config, problem.sizes, problem.known)
    out = new_directory(fit_directory(config) if out is None else Path(out))
    write_text(out / "config.toml", config_to_toml(problem.config))
    write_json(out / "sizes.json", problem.sizes._asdict())
    return _continue(problem, initial, [], 0.0, out, progress)


def resume_fit(
    run: str | Path,
    *,
    known: Known | None = None,
    residual: Residual | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Goes on with an interrupted fit, to the same end as if nothing had happened.

    **Arguments:** `run`, its directory; `known`, `residual` and `progress` as for
    [`lagdyna.experiments.fit_model`][], the first two again if they were given then.

    **Returns:** the contents of `report.json`; of a fit that is complete, those it has.

    **Raises:** `UserError` if the directory holds no fit, a damaged one, or the data have
    changed.
    """
    run = Path(run)
    config = _config_of(run)
    if (run / "report.json").exists():
        return read_json(run / "report.json")
    problem = _problem(config, known, residual)
    initial = _initial(config, problem.sizes, problem.known)
    write_json(run / "sizes.json", problem.sizes._asdict())
    if not (run / _CHECKPOINT).exists():
        return _continue(problem, initial, [], 0.0, run, progress)
    state, notes = load_checkpoint(run / _CHECKPOINT, initial)
    if notes["data"] != problem.digest:
        raise UserError(
            f"`data.file` {config.data.file!r} has changed since {str(run)!r} was begun; "
            "the same data are needed to go on"
        )
    records = read_first_lines(run / "metrics.jsonl", notes["records"])
    return _continue(problem, state, records, notes["seconds"], run, progress)


def is_fit(run: str | Path) -> bool:
    """Whether a directory holds a run of `lagdyna fit`."""
    path = Path(run) / "config.toml"
    return path.exists() and "data" in read_table(path)


def load_fit(run: str | Path, *, known: Known | None = None) -> FittedRun:
    """Reads a fit, finished or not, from its directory. The data are not needed.

    **Arguments:** `run`, the directory; `known`, the system that was passed to
    [`lagdyna.experiments.fit_model`][], if one was: it says what the numbers mean.

    **Raises:** `UserError` if the directory holds no fit, or a damaged one.
    """
    run = Path(run)
    config = _config_of(run)
    sizes = _sizes_of(run)
    system = known_system(config, sizes, known)
    state, notes = load_checkpoint(run / _CHECKPOINT, _initial(config, sizes, system))
    path = run / "report.json"
    report = read_json(path) if path.exists() else None
    posterior = _posterior(config, state)
    if posterior is not None and report is not None and report.get("calibration"):
        found = report["calibration"]
        posterior = posterior.with_noise(jnp.asarray(found["noise"])).tempered(
            found["temperature"]
        )
    return FittedRun(
        config,
        FittedModel(state.transition),
        report,
        read_first_lines(run / "metrics.jsonl", notes["records"]),
        None if posterior is None else posterior.transformed(_whole(config, state)),
    )


_CHECKPOINT = Path("checkpoint") / "training.npz"
_PIECES = 20
_OF_FILTERS = ("log_evidence", "noise")  # metrics that they alone have, means of a line's
_JUDGED = 1000  # rows on which intervals are judged


class _Fitting(NamedTuple):
    """What a fit has learned so far."""

    transition: AbstractTransition
    learner_state: PyTree


class _Problem(NamedTuple):
    """Everything that a fit needs, built from its config and its data."""

    config: FitConfig
    data: Prepared
    sizes: Sizes
    known: MechanicalSystem | None
    learner: FitLearner
    training: PyTree
    validation: PyTree
    digest: str


def _config_of(run: Path) -> FitConfig:
    if not is_fit(run):
        raise UserError(
            f"`run` was {str(run)!r}, which holds no fit; a directory that `lagdyna fit` "
            "wrote is accepted"
        )
    return fit_config(read_table(run / "config.toml"))


def _sizes_of(run: Path) -> Sizes:
    path = run / "sizes.json"
    found = read_json(path)
    try:
        named: dict[str, Any] = {
            name: tuple(x) if isinstance(x, list) else x for name, x in found.items()
        }
        return Sizes(**named)
    except (AttributeError, TypeError) as error:
        raise UserError(f"{str(path)!r} is not whole: it is damaged ({error})") from error


def _problem(config: FitConfig, known: Known | None, residual: Residual | None) -> _Problem:
    data = prepare(config)
    config = completed(config, data)
    sizes, name = sizes_of(data), config.loss.name
    training, validation = (batches_of(config, data, part) for part in (0, 1))
    loss: Any
    if name == "forward":
        loss = ForwardLoss(root_mean_square(training.qdd))
    elif name == "inverse":
        loss = InverseLoss(root_mean_square(training.action))
    else:
        scale = State(jnp.asarray(sizes.steps_q), jnp.asarray(sizes.steps_qd))
        loss = OneStepLoss(scale) if name == "one-step" else MultiStepLoss(scale)
    system = known_system(config, sizes, known)
    config = _chosen(config, sizes, system)
    if config.model.name == "constrained-mlp":
        loss = _constrained(config, loss, system, residual, training, data.dt)
    learner = _learner(config, loss, _distinct(training))
    if config.learner.least_squares:
        training = _some(training, config.learner.batch_or_default, config.seed)
    return _Problem(config, data, sizes, system, learner, training, validation, digest_of(data))


def _constrained(
    config: FitConfig,
    loss: OneStepLoss,
    system: MechanicalSystem | None,
    residual: Residual | None,
    training: Experience,
    dt: float,
) -> ResidualLoss:
    """The loss with governing equations, scaled by what they are where nothing changes."""
    if residual is None and config.loss.residual is not None:
        residual = user_part("loss.residual", config.loss.residual)
    if residual is None and system is not None:
        residual = MotionResidual(system, dt)
    if residual is None:
        raise UserError(
            "`model.name` was 'constrained-mlp', which needs `loss.residual`, the equations "
            "as FILE.py:NAME, or `model.known`, a system that has them"
        )
    try:
        still = jax.vmap(residual)(training.state, training.action, training.state)
        scale = root_mean_square(still)
    except Exception as error:  # the user's own function may raise anything
        raise UserError(
            f"`loss.residual` failed on a step of the data: {type(error).__name__}: "
            f"{' '.join(str(error).split())[:200]}"
        ) from error
    return ResidualLoss(loss, residual, scale, config.loss.residual_weight)


def _distinct(training: PyTree) -> float:
    """How many rows the data are worth: windows overlap, and see a step more than once."""
    rows = jax.tree.leaves(training)[0].shape[0]
    if isinstance(training, tuple) and not isinstance(training, Experience):
        windows, mask = training
        parts = (*windows.state, windows.action, *windows.next_state)
        steps = np.concatenate([np.asarray(x)[np.asarray(mask) > 0] for x in parts], axis=1)
        return rows * len(np.unique(steps, axis=0)) / len(steps)
    return float(rows)


def _learner(config: FitConfig, loss: Any, rows: float) -> FitLearner:
    learner = config.learner
    if is_filter(learner.name):
        seen = learner.updates_or_default * learner.batch_or_default
        return make_filter(learner.name, loss, learner.filter, seen / rows, config.seed)
    if learner.least_squares:
        return LevenbergMarquardtLearner(loss)
    rate = falling(learner.rate, learner.updates_or_default)
    return GradientLearner(make_optimiser(learner.name, rate, learner.clip), loss)


def _some(training: PyTree, count: int, seed: int) -> PyTree:
    """At most so many rows of the data, chosen at random, in their order."""
    rows = jax.tree.leaves(training)[0].shape[0]
    if rows <= count:
        return training
    chosen = np.sort(np.random.default_rng(seed).choice(rows, count, replace=False))
    return jax.tree.map(lambda x: x[chosen], training)


def _initial(config: FitConfig, sizes: Sizes, known: MechanicalSystem | None) -> _Fitting:
    key = jax.random.fold_in(jax.random.key(config.seed), 0)
    learner, hidden = config.learner, config.model.hidden
    weights = [eqx.filter_eval_shape(lambda: _free(config, build(config, sizes, key, known)))]
    check_memory("model.hidden", learner.name, hidden, weights, learner.filter)
    transition = eqx.filter_jit(build)(config, sizes, key, known)
    # How a learner begins does not depend on its loss, any will do.
    loss = OneStepLoss(State(jnp.ones(sizes.n), jnp.ones(sizes.n)))
    return _Fitting(transition, _learner(config, loss, 1.0).init(_free(config, transition)))


def _free(config: FitConfig, transition: AbstractTransition) -> PyTree:
    """What is learned of the model."""
    free, _ = divided(learned_part(config.loss.name, transition), config.model.fixed)
    weights = eqx.filter(free, eqx.is_inexact_array)
    if not jax.tree.leaves(weights):
        raise UserError(
            f"`model.fixed` was {list(config.model.fixed)}: nothing is left to learn; fewer "
            "are accepted"
        )
    return weights


def _chosen(config: FitConfig, sizes: Sizes, known: MechanicalSystem | None) -> FitConfig:
    """The config, its learner `auto` replaced by the filter that this stands for."""
    if config.learner.name != "auto":
        return config
    key = jax.random.key(0)
    weights = eqx.filter_eval_shape(lambda: _free(config, build(config, sizes, key, known)))
    name, blocks = chosen_filter([weights])
    options = dataclasses.replace(config.learner.filter, blocks=blocks)
    learner = dataclasses.replace(config.learner, name=name, filter=options)
    return dataclasses.replace(config, learner=learner)


def _continue(
    problem: _Problem,
    state: _Fitting,
    records: list[dict[str, Any]],
    seconds: float,
    out: Path,
    progress: Progress | None,
) -> dict[str, Any]:
    config, updates = problem.config, problem.config.learner.updates_or_default
    start = time.perf_counter() - seconds
    piece = -(-updates // _PIECES)
    done = sum(record["piece"] for record in records)
    while done < updates:
        size = min(piece, updates - done)
        key = jax.random.fold_in(jax.random.key(config.seed), 1 + len(records))
        state, metrics = _piece(
            config.loss.name,
            config.model.fixed,
            problem.learner,
            state,
            problem.training,
            problem.validation,
            key,
            size,
            None if config.learner.least_squares else config.learner.batch_or_default,
        )
        done += size
        seconds = time.perf_counter() - start
        record = {
            "updates": done,
            "piece": size,
            "loss": finite(float(metrics["loss"])),
            "validation_loss": finite(float(metrics["validation_loss"])),
            "skipped_updates": int(metrics["skipped"]),
            **{name: finite(float(metrics[name])) for name in _OF_FILTERS if name in metrics},
            "seconds": seconds,
        }
        records = [*records, record]
        write_json_lines(out / "metrics.jsonl", records)
        (out / "checkpoint").mkdir(exist_ok=True)
        notes = {"records": len(records), "seconds": seconds, "data": problem.digest}
        save_checkpoint(out / _CHECKPOINT, state, notes)
        if progress is not None:
            progress(record)
    model = FittedModel(state.transition)
    judged, shown = judge(model, problem.data)
    calibration = _calibration(problem, state)
    report = {**_summary(problem, model, records), "calibration": calibration, **judged}
    draw_fit(out, shown, records, config.model.name)
    write_json(out / "report.json", report)
    return report


def _posterior(config: FitConfig, state: _Fitting) -> AbstractPosterior[Any] | None:
    """The posterior of what was learned, `None` if no filter did."""
    # What a filter knows does not depend on its loss, any will do.
    n = state.transition.coordinates.n
    learner = _learner(config, OneStepLoss(State(jnp.ones(n), jnp.ones(n))), 1.0)
    if not isinstance(learner, AbstractFilter):
        return None
    free, _ = divided(learned_part(config.loss.name, state.transition), config.model.fixed)
    return learner.posterior(free, state.learner_state)


def _whole(config: FitConfig, state: _Fitting) -> Callable[[PyTree], FittedModel]:
    """Of what is learned, the model it is a part of."""
    name = config.loss.name
    _, held = divided(learned_part(name, state.transition), config.model.fixed)

    def whole(free: PyTree) -> FittedModel:
        learned = eqx.combine(free, held)
        return FittedModel(with_learned_part(name, state.transition, learned))

    return whole


def _calibration(problem: _Problem, state: _Fitting) -> dict[str, Any] | None:
    """How the posterior's intervals cover the validation data, `None` without a posterior.

    The noise is that of training data, the temperature that of every other row, the
    coverage that of the rest.
    """
    config = problem.config
    posterior = _posterior(config, state)
    if posterior is None:
        return None
    _, held = divided(learned_part(config.loss.name, state.transition), config.model.fixed)
    loss = HoldingLoss(cast(Any, problem.learner.loss), held)
    some = _some(problem.validation, _JUDGED, config.seed)
    even, odd = (jax.tree.map(lambda x, i=i: x[i::2], some) for i in (0, 1))
    if len(jax.tree.leaves(odd)[0]) == 0:
        return None
    training = _some(problem.training, _JUDGED, config.seed)
    return calibration_of(posterior, loss, training, even, odd)


@eqx.filter_jit
def _piece(
    loss_name: str,
    fixed: tuple[str, ...],
    learner: FitLearner,
    state: _Fitting,
    training: PyTree,
    validation: PyTree,
    key: PRNGKeyArray,
    updates: int,
    batch: int | None,
) -> tuple[_Fitting, dict[str, Array]]:
    rows = jax.tree.leaves(training)[0].shape[0]

    def sample(key: PRNGKeyArray) -> PyTree:
        if batch is None:
            return training
        drawn = jax.random.randint(key, (batch,), 0, rows)
        return jax.tree.map(lambda x: x[drawn], training)

    free, held = divided(learned_part(loss_name, state.transition), fixed)
    learner = eqx.tree_at(
        lambda each: each.loss, learner, HoldingLoss(cast(Any, learner.loss), held)
    )
    fitted = learn(learner, free, state.learner_state, sample, key=key, steps=updates)
    whole = eqx.combine(fitted.model, held)
    transition = with_learned_part(loss_name, state.transition, whole)
    metrics = {
        "loss": jnp.mean(fitted.metrics["loss"]),
        "skipped": jnp.sum(fitted.metrics["skipped"]),
        "validation_loss": learner.loss(fitted.model, validation),
        **{name: jnp.mean(x) for name, x in fitted.metrics.items() if name in _OF_FILTERS},
    }
    return _Fitting(transition, fitted.state), metrics


def _summary(
    problem: _Problem, model: FittedModel, records: list[dict[str, Any]]
) -> dict[str, Any]:
    config, data = problem.config, problem.data
    notes, updates = list(data.notes), config.learner.updates_or_default
    skipped = sum(record["skipped_updates"] for record in records)
    if 2 * skipped > updates:
        notes.append(
            f"{skipped} of {updates} updates were skipped, since they were not finite; a "
            "filter may need a smaller `learner.filter.prior`, an optimiser a smaller rate"
        )
    return {
        "data": config.data.file,
        "model": config.model.name,
        "loss": config.loss.name,
        "learner": config.learner.name,
        "solver": config.solver.name,
        "seed": config.seed,
        "updates": updates,
        "seconds": records[-1]["seconds"],
        "weights": number_of_weights(model),
        "dt": data.dt,
        "control": data.control,
        "parameters": _parameters(problem.known, model)
        if config.model.name == "known"
        else None,
        "notes": notes,
        "loss_training": records[-1]["loss"],
        "loss_validation": records[-1]["validation_loss"],
    }


def _parameters(known: MechanicalSystem | None, model: FittedModel) -> list[dict[str, Any]]:
    """What the parameters of a known system were, and have become."""

    def leaves(tree: PyTree) -> dict[str, Array]:
        arrays = eqx.filter(tree, eqx.is_inexact_array)
        found = jax.tree_util.tree_leaves_with_path(arrays)
        return {parameter_name(path): leaf for path, leaf in found}

    before, after = leaves(known), leaves(model.system)
    return [
        {"name": name, "start": before[name].tolist(), "fitted": after[name].tolist()}
        for name in after
    ]
