import hashlib
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PRNGKeyArray, PyTree

from ..data import (
    DataError,
    Experience,
    Split,
    Trajectory,
    TrajectorySet,
    estimate_velocities,
    read,
    recorded_experience,
    recorded_windows,
    resample,
    split,
    warn_if_degrees,
)
from ..fit import (
    ForwardLoss,
    GradientLearner,
    InverseLoss,
    MultiStepLoss,
    OneStepLoss,
    accelerations,
    learn,
    root_mean_square,
    step_scale,
)
from ..mechanics import (
    AbstractActuation,
    AbstractDissipation,
    Coordinates,
    CoulombDissipation,
    FixedActuation,
    LearnedActuation,
    MechanicalSystem,
    NoDissipation,
    State,
    SumDissipation,
    ViscousDissipation,
)
from ..models import HNN, LNN, DeLaN, NeuralODE, StructuredHNN
from ..simulate import (
    AbstractTransition,
    AccelerationField,
    HamiltonianField,
    LagrangianField,
    MLPTransition,
    SolvedTransition,
)
from ._checkpoint import load_checkpoint, save_checkpoint
from ._errors import UserError
from ._files import (
    new_directory,
    numbered,
    read_json_lines,
    write_json,
    write_json_lines,
    write_text,
)
from ._fit_config import FitConfig
from ._fit_plots import Shown, draw_fit
from ._fitted_model import FittedModel
from ._report import (
    Motion,
    acceleration_errors,
    energy_drift,
    errors,
    finite,
    motions,
    rollout_errors,
    torque_errors,
    torques,
)
from ._toml import config_to_toml, convert, read_table
from ._trainer import ACTIVATIONS, make_optimiser

Control = Literal["tau", "action"] | None
Progress = Callable[[dict[str, Any]], None]


class FittedRun(NamedTuple):
    """A fit read back from its directory.

    **Attributes:**

    - `config`: what determined it.
    - `model`: a [`lagdyna.experiments.FittedModel`][].
    - `report`: the contents of `report.json`, `None` if the fit was interrupted.
    - `records`: the lines of `metrics.jsonl`.
    """

    config: FitConfig
    model: FittedModel
    report: dict[str, Any] | None
    records: list[dict[str, Any]]


class Prepared(NamedTuple):
    """Recordings, ready to be learned from and judged by.

    **Attributes:**

    - `coordinates`, `control`, `actions`: what moves, which array drives it, how wide.
    - `dt`: of the model's step, seconds.
    - `raw`: as recorded, with velocities, split.
    - `steps`: the same at equal steps of `dt`, on which models are judged.
    - `notes`: what was done to the data, for the report.
    """

    coordinates: Coordinates
    control: Control
    actions: int
    dt: float
    raw: Split
    steps: Split
    notes: list[str]


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


def prepare(config: FitConfig) -> Prepared:
    """Reads, completes and divides the data that a config names.

    **Raises:** `UserError` for whatever is wrong with them, in one sentence.
    """
    data, notes = config.data, []
    try:
        recorded = read(data.file)
        coordinates = _coordinates(config, recorded.n)
        control = _control(config, recorded)
        recorded = _with_control(recorded, control)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warn_if_degrees(recorded, coordinates, data.file)
            if "qd" not in recorded.fields:
                recorded = estimate_velocities(recorded, coordinates, data.noise)
                notes.append("velocities were estimated from positions")
            raw = split(recorded, data.validation, seed=config.seed)
        notes += [str(warning.message) for warning in caught]
        lengths = np.concatenate([np.diff(each.t) for each in recorded])
        dt = float(np.median(lengths)) if data.dt is None else data.dt
        steps = raw
        if np.any(np.abs(lengths - dt) > 0.01 * dt):
            steps = Split(*(resample(each, coordinates, dt) for each in raw))
            notes.append(f"steps of {dt:.6g} s were interpolated from unequal ones")
    except DataError as error:
        raise UserError(str(error)) from error
    width = {None: 0, "tau": recorded.n, "action": recorded.m}[control]
    return Prepared(coordinates, control, width, dt, raw, steps, notes)


class Sizes(NamedTuple):
    """What of the data shapes a model: with the config, all that is needed to build one.

    **Attributes:**

    - `n`, `actions`: how many coordinates and how wide the control.
    - `control`: which array it is.
    - `dt`: of the model's step, seconds.
    - `speeds`: root mean square of each velocity.
    - `steps_q`, `steps_qd`: root mean square change of each coordinate and velocity in `dt`.
    - `loss`: what is made small, `auto` replaced by what it stands for.
    """

    n: int
    actions: int
    control: Control
    dt: float
    speeds: tuple[float, ...]
    steps_q: tuple[float, ...]
    steps_qd: tuple[float, ...]
    loss: str


def build(config: FitConfig, sizes: Sizes, key: PRNGKeyArray) -> AbstractTransition:
    """The untrained transition that a config names, for data of these sizes.

    **Raises:** `UserError` if the solver cannot solve the model.
    """
    model, coordinates = config.model, _coordinates(config, sizes.n)
    options: Any = {
        "hidden": model.hidden,
        "activation": ACTIVATIONS[model.activation],
        "key": key,
    }
    if model.name == "mlp":
        return MLPTransition(
            coordinates,
            sizes.actions,
            scale=State(jnp.asarray(sizes.steps_q), jnp.asarray(sizes.steps_qd)),
            velocity_scale=sizes.speeds,
            **options,
        )
    if model.name == "neural-ode":
        dynamics = NeuralODE(
            coordinates,
            sizes.actions,
            velocity_scale=sizes.speeds,
            acceleration_scale=tuple(change / sizes.dt for change in sizes.steps_qd),
            **options,
        )
        field = AccelerationField(dynamics)
    else:
        actuation, dissipation = _actuation(config, sizes), _dissipation(config, sizes.n)
        if model.name == "delan":
            field = LagrangianField(
                MechanicalSystem(
                    DeLaN(coordinates, initial_mass=model.initial_mass, **options),
                    coordinates,
                    actuation,
                    dissipation,
                )
            )
        elif model.name == "lnn":
            field = LagrangianField(
                MechanicalSystem(
                    LNN(coordinates, **options), coordinates, actuation, dissipation
                )
            )
        elif model.name == "hnn":
            field = HamiltonianField(HNN(coordinates, **options), actuation, dissipation)
        else:
            hamiltonian = StructuredHNN(coordinates, initial_mass=model.initial_mass, **options)
            field = HamiltonianField(hamiltonian, actuation, dissipation)
    try:
        return SolvedTransition(
            field,
            coordinates,
            sizes.dt,
            solver=config.solver.name,
            substeps=config.solver.substeps,
            tolerances=config.solver.tolerances,
        )
    except ValueError as error:
        raise UserError(str(error)) from error


def fit_model(
    config: FitConfig, out: str | Path | None = None, *, progress: Progress | None = None
) -> dict[str, Any]:
    """Fits a model to recordings, and leaves everything about it in a run directory.

    After every twentieth of the updates a checkpoint is written, from which
    [`lagdyna.experiments.resume_fit`][] goes on.

    **Arguments:**

    - `config`: what to do.
    - `out`: a new or empty directory; by default the first free one in `runs/`.
    - `progress`: called with each line of `metrics.jsonl`, a dictionary.

    **Returns:** the contents of `report.json`.

    **Raises:** `UserError` if the config, the data or the directory cannot be used;
    nothing has been written then.
    """
    data = prepare(config)
    problem = _problem(config, data)
    initial = _initial(config, problem.sizes)
    out = new_directory(fit_directory(config) if out is None else Path(out))
    write_text(out / "config.toml", config_to_toml(config))
    write_json(out / "sizes.json", problem.sizes._asdict())
    return _continue(problem, initial, [], 0.0, out, progress)


def resume_fit(run: str | Path, *, progress: Progress | None = None) -> dict[str, Any]:
    """Goes on with an interrupted fit, to the same end as if nothing had happened.

    **Arguments:** `run`, its directory; `progress` as for
    [`lagdyna.experiments.fit_model`][].

    **Returns:** the contents of `report.json`; of a fit that is complete, those it has.

    **Raises:** `UserError` if the directory holds no fit, a damaged one, or the data have
    changed.
    """
    run = Path(run)
    config = _config_of(run)
    if (run / "report.json").exists():
        return json.loads((run / "report.json").read_text(encoding="utf-8"))
    problem = _problem(config, prepare(config))
    initial = _initial(config, problem.sizes)
    write_json(run / "sizes.json", problem.sizes._asdict())
    if not (run / _CHECKPOINT).exists():
        return _continue(problem, initial, [], 0.0, run, progress)
    state, notes = load_checkpoint(run / _CHECKPOINT, initial)
    if notes["data"] != problem.digest:
        raise UserError(
            f"`data.file` {config.data.file!r} has changed since {str(run)!r} was begun; "
            "the same data are needed to go on"
        )
    records = read_json_lines(run / "metrics.jsonl")[: notes["records"]]
    return _continue(problem, state, records, notes["seconds"], run, progress)


def is_fit(run: str | Path) -> bool:
    """Whether a directory holds a run of `lagdyna fit`."""
    path = Path(run) / "config.toml"
    return path.exists() and "data" in read_table(path)


def load_fit(run: str | Path) -> FittedRun:
    """Reads a fit, finished or not, from its directory. The data are not needed.

    **Raises:** `UserError` if the directory holds no fit, or a damaged one.
    """
    run = Path(run)
    config = _config_of(run)
    sizes = _sizes_of(run)
    state, _ = load_checkpoint(run / _CHECKPOINT, _initial(config, sizes))
    report = run / "report.json"
    found = json.loads(report.read_text(encoding="utf-8")) if report.exists() else None
    model = FittedModel(state.transition)
    return FittedRun(config, model, found, read_json_lines(run / "metrics.jsonl"))


_CHECKPOINT = Path("checkpoint") / "training.npz"
_PIECES = 20


class _Fitting(NamedTuple):
    """What a fit has learned so far."""

    transition: AbstractTransition
    learner_state: PyTree


class _Problem(NamedTuple):
    """Everything that a fit needs, built from its config and its data."""

    config: FitConfig
    data: Prepared
    sizes: Sizes
    learner: GradientLearner
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
    try:
        found = json.loads((run / "sizes.json").read_text(encoding="utf-8"))
        named: dict[str, Any] = {
            name: tuple(x) if isinstance(x, list) else x for name, x in found.items()
        }
        return Sizes(**named)
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{str(run / 'sizes.json')!r} is missing or damaged") from error


def _problem(config: FitConfig, data: Prepared) -> _Problem:
    name = _loss_name(config, data)
    experience = _experience(data, data.steps.training)
    change = step_scale(experience, data.coordinates)
    speeds, steps_q, steps_qd = (
        tuple(np.asarray(x, np.float64).tolist())
        for x in (root_mean_square(experience.state.qd), change.q, change.qd)
    )
    sizes = Sizes(
        n=data.coordinates.n,
        actions=data.actions,
        control=data.control,
        dt=data.dt,
        speeds=speeds,
        steps_q=steps_q,
        steps_qd=steps_qd,
        loss=name,
    )
    training, validation = (_batches(config, data, name, i) for i in (0, 1))
    loss: Any
    if name == "forward":
        loss = ForwardLoss(root_mean_square(training.qdd))
    elif name == "inverse":
        loss = InverseLoss(root_mean_square(training.action))
    elif name == "one-step":
        loss = OneStepLoss(change)
    else:
        loss = MultiStepLoss(change)
    learner = GradientLearner(_optimiser(config), loss)
    digest = hashlib.sha256()
    for trajectory in (*data.raw.training, *data.raw.validation):
        for array in trajectory.arrays.values():
            digest.update(np.ascontiguousarray(array).tobytes())
    return _Problem(config, data, sizes, learner, training, validation, digest.hexdigest())


def _optimiser(config: FitConfig) -> Any:
    learner = config.learner
    schedule = optax.cosine_decay_schedule(learner.rate, learner.updates, 0.01)
    return make_optimiser(learner.name, schedule, learner.clip)


def _initial(config: FitConfig, sizes: Sizes) -> _Fitting:
    key = jax.random.fold_in(jax.random.key(config.seed), 0)
    transition = eqx.filter_jit(build)(config, sizes, key)
    weights = eqx.filter(_learned(sizes.loss, transition), eqx.is_inexact_array)
    return _Fitting(transition, _optimiser(config).init(weights))


def _continue(
    problem: _Problem,
    state: _Fitting,
    records: list[dict[str, Any]],
    seconds: float,
    out: Path,
    progress: Progress | None,
) -> dict[str, Any]:
    config, updates = problem.config, problem.config.learner.updates
    start = time.perf_counter() - seconds
    piece = -(-updates // _PIECES)
    done = sum(record["piece"] for record in records)
    while done < updates:
        size = min(piece, updates - done)
        key = jax.random.fold_in(jax.random.key(config.seed), 1 + len(records))
        state, metrics = _fit_piece(problem, state, key, size)
        done += size
        seconds = time.perf_counter() - start
        record = {
            "updates": done,
            "piece": size,
            "loss": finite(float(metrics["loss"])),
            "validation_loss": finite(float(metrics["validation_loss"])),
            "skipped_updates": int(metrics["skipped"]),
            "seconds": seconds,
        }
        records = [*records, record]
        write_json_lines(out / "metrics.jsonl", records)
        (out / "checkpoint").mkdir(exist_ok=True)
        notes = {"records": len(records), "seconds": seconds, "data": problem.digest}
        save_checkpoint(out / _CHECKPOINT, state, notes)
        if progress is not None:
            progress(record)
    report, shown = _report(problem, FittedModel(state.transition), records)
    draw_fit(out, shown, records, config.model.name)
    write_json(out / "report.json", report)
    return report


def _fit_piece(
    problem: _Problem, state: _Fitting, key: PRNGKeyArray, updates: int
) -> tuple[_Fitting, dict[str, Array]]:
    return _piece(
        problem.sizes.loss,
        problem.learner,
        state,
        problem.training,
        problem.validation,
        key,
        updates,
        problem.config.learner.batch,
    )


@eqx.filter_jit
def _piece(
    loss_name: str,
    learner: GradientLearner,
    state: _Fitting,
    training: PyTree,
    validation: PyTree,
    key: PRNGKeyArray,
    updates: int,
    batch: int,
) -> tuple[_Fitting, dict[str, Array]]:
    rows = jax.tree.leaves(training)[0].shape[0]

    def sample(key: PRNGKeyArray) -> PyTree:
        drawn = jax.random.randint(key, (batch,), 0, rows)
        return jax.tree.map(lambda x: x[drawn], training)

    part = _learned(loss_name, state.transition)
    fitted = learn(learner, part, state.learner_state, sample, key=key, steps=updates)
    transition = _with_learned(loss_name, state.transition, fitted.model)
    metrics = {
        "loss": jnp.mean(fitted.metrics["loss"]),
        "skipped": jnp.sum(fitted.metrics["skipped"]),
        "validation_loss": learner.loss(fitted.model, validation),
    }
    return _Fitting(transition, fitted.state), metrics


def _report(
    problem: _Problem, model: FittedModel, records: list[dict[str, Any]]
) -> tuple[dict[str, Any], Shown]:
    config, data = problem.config, problem.data
    report: dict[str, Any] = {
        "data": config.data.file,
        "model": config.model.name,
        "loss": problem.sizes.loss,
        "learner": config.learner.name,
        "solver": config.solver.name,
        "seed": config.seed,
        "updates": config.learner.updates,
        "seconds": records[-1]["seconds"],
        "weights": sum(
            leaf.size for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))
        ),
        "dt": data.dt,
        "control": data.control,
        "notes": data.notes,
        "loss_training": records[-1]["loss"],
        "loss_validation": records[-1]["validation_loss"],
    }
    moved: list[Motion] = []
    # Validation comes last, and so is what the pictures show.
    for name, raw, steps in zip(Split._fields, data.raw, data.steps, strict=True):
        part: dict[str, Any] = {
            "trajectories": len(raw),
            "rows": raw.rows,
            "one_step": errors(model, _experience(data, steps)),
        }
        if "qdd" in raw.fields and model.has_accelerations:
            found = accelerations(raw, data.coordinates, control=data.control)
            part["acceleration"] = acceleration_errors(
                model, found.state, found.action, found.qdd
            )
        part["torque"] = torque_errors(model, raw) if data.control == "tau" else None
        moved = motions(model, steps, [_controls(data, each) for each in steps])
        part["rollout"] = rollout_errors(moved, data.coordinates, data.dt)
        part["energy_drift"] = energy_drift(moved)
        report[name] = part
    raw = data.raw.validation
    forces = torques(model, raw[0]) if data.control == "tau" else None
    shown = Shown(data.coordinates, moved, forces, raw[0].t, report["validation"]["rollout"])
    return report, shown


def _coordinates(config: FitConfig, n: int) -> Coordinates:
    angles = config.data.angles
    if angles == "all":
        return Coordinates((True,) * n)
    if max(angles, default=0) >= n:
        raise UserError(
            f"`data.angles` was {list(angles)}; the data have {n} coordinates, so 0 to "
            f"{n - 1} are accepted, and all"
        )
    return Coordinates(tuple(i in angles for i in range(n)))


def _control(config: FitConfig, recorded: TrajectorySet) -> Control:
    asked = config.data.control
    if asked == "none":
        return None
    if asked is not None and asked not in recorded.fields:
        raise DataError(
            f"`data.control` was {asked!r}, and {config.data.file} has "
            f"{', '.join(recorded.fields)}; an array that was recorded, or none, is accepted"
        )
    return asked or next((name for name in ("tau", "action") if name in recorded.fields), None)


def _with_control(trajectories: TrajectorySet, control: Control) -> TrajectorySet:
    """Trajectories without the controls that are not to be seen."""
    unseen = {"tau", "action"} - {control}
    kept = [
        {name: x for name, x in each.arrays.items() if name not in unseen}
        for each in trajectories
    ]
    return TrajectorySet([Trajectory(**arrays) for arrays in kept])


def _experience(data: Prepared, trajectories: TrajectorySet) -> Experience:
    return recorded_experience(trajectories, data.coordinates, data.dt, control=data.control)


def _controls(data: Prepared, trajectory: Trajectory) -> np.ndarray:
    return trajectory.arrays.get(data.control or "", np.zeros((trajectory.rows, 0)))


def _loss_name(config: FitConfig, data: Prepared) -> str:
    name, fields = config.loss.name, data.raw.training.fields
    lagrangian = config.model.name in ("delan", "lnn")
    second_order = lagrangian or config.model.name == "neural-ode"
    if name == "auto":
        return "forward" if "qdd" in fields and second_order else "one-step"
    if name in ("forward", "inverse"):
        if "qdd" not in fields:
            raise UserError(
                f"`loss.name` was {name!r}, which needs recorded accelerations, and "
                f"{config.data.file} has no `qdd`; one-step and multi-step do without"
            )
        if not second_order or (name == "inverse" and not lagrangian):
            raise UserError(
                f"`loss.name` was {name!r}, which the model {config.model.name!r} has no "
                "answer to; one-step and multi-step are accepted"
            )
    return name


def _batches(config: FitConfig, data: Prepared, name: str, part: int) -> Any:
    """What the loss takes, of the training data or of the validation data."""
    if name in ("forward", "inverse"):
        return accelerations(data.raw[part], data.coordinates, control=data.control)
    if name == "one-step":
        return _experience(data, data.steps[part])
    windows = recorded_windows(
        data.steps[part],
        data.coordinates,
        data.dt,
        config.loss.window,
        stride=max(1, config.loss.window // 2),
        control=data.control,
    )
    return windows.experience, windows.mask


def _learned(loss_name: str, transition: AbstractTransition) -> Any:
    """The part of a transition that a loss is about."""
    if loss_name in ("forward", "inverse"):
        return FittedModel(transition).dynamics
    return transition


def _with_learned(loss_name: str, transition: AbstractTransition, part: Any) -> Any:
    if loss_name not in ("forward", "inverse"):
        return part
    if isinstance(part, MechanicalSystem):
        return eqx.tree_at(lambda t: t.field.system, transition, part)
    return eqx.tree_at(lambda t: t.field.dynamics, transition, part)


def _actuation(config: FitConfig, sizes: Sizes) -> AbstractActuation:
    n, m, force = sizes.n, sizes.actions, config.data.force
    if sizes.control != "action":
        return FixedActuation(tuple(tuple(float(i == j) for j in range(m)) for i in range(n)))
    if force is None:
        return LearnedActuation(jnp.eye(n, m))
    if len(force) != n or {len(row) for row in force} != {m}:
        raise UserError(
            f"`data.force` was {[list(row) for row in force]}; {n} rows of {m} numbers, one "
            "row for each coordinate, are accepted"
        )
    return FixedActuation(force)


def _dissipation(config: FitConfig, n: int) -> AbstractDissipation:
    kinds: dict[str, tuple[AbstractDissipation, ...]] = {
        "none": (),
        "viscous": (ViscousDissipation(jnp.full(n, 0.01)),),
        "coulomb": (CoulombDissipation(jnp.full(n, 0.01)),),
    }
    kinds["both"] = kinds["viscous"] + kinds["coulomb"]
    parts = kinds[config.model.dissipation]
    if len(parts) < 2:
        return parts[0] if parts else NoDissipation()
    return SumDissipation(parts)
