"""Recordings of a fit: read, completed, split, and arranged as batches of a loss."""

import dataclasses
import hashlib
import warnings
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from .._errors import UserError
from ..checks import check_recordings
from ..config import DataConfig, FitConfig, layout_of
from ..data import (
    DataError,
    DegreesWarning,
    Experience,
    Split,
    Trajectory,
    TrajectorySet,
    estimate_velocities,
    minari_environment,
    quantisation_steps,
    read,
    recorded_experience,
    recorded_windows,
    resample,
    split,
)
from ..learners import accelerations
from ..mechanics import Coordinates
from ..options import located
from ..parts import LossConfig, StepsLossConfig
from ._pieces import SMOOTHED_ROWS, without_pauses, without_short

Control = Literal["tau", "action"] | None


class PreparedData(NamedTuple):
    """Recordings that are ready for learning and evaluation.

    **Attributes:**

    - `coordinates`: the `n` coordinates, and which are angles.
    - `control`: name of the recorded array that drives the system, `None` without one.
    - `action_size`: width `m` of that array.
    - `dt`: step of the model, seconds.
    - `raw`: trajectories at their recorded times, with velocities, split.
    - `steps`: the same trajectories at equal steps of `dt`, split.
    - `notes`: sentences for the report about what was done to the data.
    - `estimated`: whether velocities were estimated from positions.
    """

    coordinates: Coordinates
    control: Control
    action_size: int
    dt: float
    raw: Split
    steps: Split
    notes: list[str]
    estimated: bool = False


def prepare(config: FitConfig) -> PreparedData:
    """Read, complete and split the recordings of a fit.

    Trajectories are split at pauses, and checked; see [`lagdyna.checks.check_recordings`][].
    Missing velocities are estimated from positions. Unequal steps are interpolated.

    **Raises:** `UserError` if the recordings cannot be used.
    """
    notes: list[str] = []
    try:
        data = with_layout(config.data)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            # Degrees are found again by the checks below.
            warnings.simplefilter("ignore", DegreesWarning)
            recorded = _read(data)
            coordinates = coordinates_of(data, recorded.n)
            control = _control(data, recorded)
            recorded, found = without_pauses(_with_control(recorded, control))
            notes += found
            dt = _median_step(recorded) if data.dt is None else data.dt
            estimated = "qd" not in recorded.fields
            rows = SMOOTHED_ROWS if estimated else 2
            recorded, short = without_short(recorded, dt, rows=rows)
            notes += short
            if not estimated:
                _check_no_noise(data)
            else:
                notes.append(_describe_velocities(data, recorded))
                recorded = estimate_velocities(recorded, coordinates, data.noise)
            notes += _findings(data, recorded, coordinates, control)
            raw = split(recorded, data.validation, seed=config.seed)
        notes += [str(warning.message) for warning in caught]
        steps, lengths = raw, np.concatenate([np.diff(each.t) for each in recorded])
        if np.any(np.abs(lengths - dt) > 0.01 * dt):
            steps = Split(*(resample(each, coordinates, dt) for each in raw))
            notes.append(f"steps of {dt:.6g} s were interpolated from unequal ones")
    except DataError as error:
        raise UserError(str(error)) from error
    width = {None: 0, "tau": recorded.n, "action": recorded.m}[control]
    return PreparedData(coordinates, control, width, dt, raw, steps, notes, estimated)


def with_layout(data: DataConfig) -> DataConfig:
    """Fill the layout of Minari data sets where it was left open, and its angles.

    **Raises:** `UserError` if lagdyna does not know the environment of the data set.
    """
    sets = [name for name in data.files if name.startswith("minari:")]
    if not sets:
        return data
    layout = data.layout
    if layout is None:
        try:
            layout = layout_of(sets[0], minari_environment(sets[0]))
        except DataError as error:
            raise UserError(str(error)) from error
    angles, chain = data.angles or layout.angles, data.chain or layout.chain
    return dataclasses.replace(data, layout=layout, angles=angles, chain=chain)


def _read(data: DataConfig) -> TrajectorySet:
    """Read the recordings."""
    return read(
        [located(each) for each in data.files],
        lambda n: coordinates_of(data, n),
        layout=None if data.layout is None else data.layout.observations,
        columns=data.columns,
        merge=data.merge,
        duplicates=data.duplicates,
    )


def _median_step(trajectories: TrajectorySet) -> float:
    return float(np.median(np.concatenate([np.diff(each.t) for each in trajectories])))


def _describe_velocities(data: DataConfig, recorded: TrajectorySet) -> str:
    """Say that velocities are estimated, and which steps of encoders were found."""
    text = "velocities were estimated from positions"
    steps = quantisation_steps(recorded) if data.noise is None else np.zeros(0)
    # Steps of rounded decimals are not worth a word.
    spans = np.ptp(np.concatenate([each.q for each in recorded]), axis=0)
    found = [f"{step:.4g} in q{i}" for i, step in enumerate(steps) if step > 1e-5 * spans[i]]
    return f"{text}, which are rounded to steps of {', '.join(found)}" if found else text


def _findings(
    data: DataConfig, recorded: TrajectorySet, coordinates: Coordinates, control: Control
) -> list[str]:
    """Check the recordings, and list what was found as notes.

    **Raises:** `UserError` if columns contradict each other and `data.unchecked` is not set.
    """
    findings = check_recordings(recorded, coordinates, control)
    wrong = [each.text for each in findings if each.contradiction]
    if wrong and not data.unchecked:
        raise UserError(
            f"{data.title}: {'; '.join(wrong)}; correct the columns, in SI units, or set "
            "`data.unchecked` to fit them as they are"
        )
    return [each.text for each in findings]


def coordinates_of(data: DataConfig, n: int) -> Coordinates:
    """Create the `n` coordinates of recordings, with the angles that the config names.

    **Raises:** `UserError` if an index is too large.
    """
    angles = data.angle_indices
    if angles == "all":
        return Coordinates((True,) * n, data.chain)
    if max(angles, default=0) >= n:
        raise UserError(
            f"`data.angles` was {list(angles)}; the data have {n} coordinates, so 0 to "
            f"{n - 1} are accepted, and all"
        )
    return Coordinates(tuple(i in angles for i in range(n)), data.chain)


def _control(data: DataConfig, recorded: TrajectorySet) -> Control:
    """Choose the recorded array that drives the system."""
    if data.control == "none":
        return None
    if data.control is not None and data.control not in recorded.fields:
        raise DataError(
            f"`data.control` was {data.control!r}, and {data.title} has "
            f"{', '.join(recorded.fields)}; an array that was recorded, or none, is accepted"
        )
    if data.control is not None:
        return data.control
    return next((name for name in ("tau", "action") if name in recorded.fields), None)


def _with_control(trajectories: TrajectorySet, control: Control) -> TrajectorySet:
    """Remove the recorded controls that are not used."""
    unused = {"tau", "action"} - {control}
    kept = [
        {name: x for name, x in each.arrays.items() if name not in unused}
        for each in trajectories
    ]
    return TrajectorySet([Trajectory(**arrays) for arrays in kept])


def _check_no_noise(data: DataConfig) -> None:
    if data.noise is not None:
        raise UserError(
            f"`data.noise` was {data.noise:g}, and {data.title} has velocities `qd`, so that "
            "none are estimated; leave the option or the array `qd` out"
        )


def experience_of(data: PreparedData, trajectories: TrajectorySet) -> Experience:
    """Collect every step of some trajectories, with a leading axis `rows`."""
    return recorded_experience(trajectories, data.coordinates, data.dt, control=data.control)


def controls_of(data: PreparedData, trajectory: Trajectory) -> Float[np.ndarray, "time m"]:
    """Get the control along a trajectory; `m` is 0 if nothing drives the system."""
    return trajectory.arrays.get(data.control or "", np.zeros((trajectory.rows, 0)))


def rows_of(loss: LossConfig, data: PreparedData, trajectories: TrajectorySet) -> Any:
    """Arrange trajectories as rows of the batches that a loss takes.

    **Arguments:** `loss`, of a resolved config; `trajectories`, raw ones for a loss that
    compares accelerations, else those at equal steps.

    **Returns:** a PyTree of arrays with a leading axis `rows`.
    """
    if not isinstance(loss, StepsLossConfig):
        return accelerations(trajectories, data.coordinates, control=data.control)
    if loss.length == 1:
        return experience_of(data, trajectories)
    windows = recorded_windows(
        trajectories,
        data.coordinates,
        data.dt,
        loss.length,
        stride=max(1, loss.length // 2),
        control=data.control,
    )
    return windows.experience, windows.mask


def digest_of(data: PreparedData) -> str:
    """Compute a digest of every number of the recordings."""
    digest = hashlib.sha256()
    for trajectory in (*data.raw.training, *data.raw.validation):
        for array in trajectory.arrays.values():
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
