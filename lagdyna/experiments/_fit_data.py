"""The data of a fit: read, completed, divided, and made into what a loss takes."""

import dataclasses
import hashlib
import warnings
from typing import Any, Literal, NamedTuple

import numpy as np

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
from ..learners import accelerations
from ..mechanics import Coordinates
from ._errors import UserError
from ._fit_config import FitConfig

Control = Literal["tau", "action"] | None


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


def prepare(config: FitConfig) -> Prepared:
    """Reads, completes and divides the data that a config names.

    **Raises:** `UserError` for whatever is wrong with them, in one sentence.
    """
    data, notes = config.data, []
    try:
        recorded = read(data.file)
        coordinates = coordinates_of(config, recorded.n)
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


def coordinates_of(config: FitConfig, n: int) -> Coordinates:
    """The `n` coordinates, as the config says which are angles.

    **Raises:** `UserError` if it names one that there is not.
    """
    angles = config.data.angles
    if angles == "all":
        return Coordinates((True,) * n, config.data.chain)
    if max(angles, default=0) >= n:
        raise UserError(
            f"`data.angles` was {list(angles)}; the data have {n} coordinates, so 0 to "
            f"{n - 1} are accepted, and all"
        )
    return Coordinates(tuple(i in angles for i in range(n)), config.data.chain)


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


def experience_of(data: Prepared, trajectories: TrajectorySet) -> Experience:
    """Every step of the trajectories, with a leading axis `rows`."""
    return recorded_experience(trajectories, data.coordinates, data.dt, control=data.control)


def controls_of(data: Prepared, trajectory: Trajectory) -> np.ndarray:
    """What drives the system along a trajectory, `(time, m)`, `m` 0 if nothing does."""
    return trajectory.arrays.get(data.control or "", np.zeros((trajectory.rows, 0)))


def batches_of(config: FitConfig, data: Prepared, part: int) -> Any:
    """What the loss takes: of the training data if `part` is 0, of the validation data if 1."""
    name = config.loss.name
    if name in ("forward", "inverse"):
        return accelerations(data.raw[part], data.coordinates, control=data.control)
    if name == "one-step":
        return experience_of(data, data.steps[part])
    windows = recorded_windows(
        data.steps[part],
        data.coordinates,
        data.dt,
        config.loss.window,
        stride=max(1, config.loss.window // 2),
        control=data.control,
    )
    return windows.experience, windows.mask


def digest_of(data: Prepared) -> str:
    """A digest of every number of the data."""
    digest = hashlib.sha256()
    for trajectory in (*data.raw.training, *data.raw.validation):
        for array in trajectory.arrays.values():
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def completed(config: FitConfig, data: Prepared) -> FitConfig:
    """The config with what it left open filled in: the loss `auto`, updates and batch.

    **Raises:** `UserError` if the data or the model have not what the loss compares.
    """
    learner = dataclasses.replace(
        config.learner,
        updates=config.learner.updates_or_default,
        batch=config.learner.batch_or_default,
    )
    config = dataclasses.replace(config, learner=learner)
    name, fields = config.loss.name, data.raw.training.fields
    lagrangian = config.model.name in ("delan", "lnn", "known")
    second_order = lagrangian or config.model.name in ("neural-ode", "residual")
    if name == "auto":
        chosen = "forward" if "qdd" in fields and second_order else "one-step"
        return dataclasses.replace(config, loss=dataclasses.replace(config.loss, name=chosen))
    if config.model.name == "constrained-mlp" and name != "one-step":
        raise UserError(
            f"`loss.name` was {name!r}; with the model 'constrained-mlp' one-step is accepted"
        )
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
    return config
