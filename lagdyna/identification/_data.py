"""Recordings of a fit: read, completed, split, and arranged as batches of a loss."""

import dataclasses
import hashlib
import re
import warnings
from collections.abc import Callable, Sequence
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
    estimate_accelerations,
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
from ._test_data import Unseen, check_test, in_order

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
    - `joints`: names of the coordinates, if the recordings have them.
    - `test`: recordings that are neither learned from nor used to choose anything, if any.
    - `estimated`: whether velocities were estimated from positions.
    """

    coordinates: Coordinates
    control: Control
    action_size: int
    dt: float
    raw: Split
    steps: Split
    notes: list[str]
    joints: tuple[str, ...] | None = None
    test: Unseen | None = None
    estimated: bool = False

    @property
    def parts(self) -> list[tuple[str, TrajectorySet, TrajectorySet]]:
        """Name, raw trajectories and those at equal steps of each part; test data last."""
        found = list(zip(Split._fields, self.raw, self.steps, strict=True))
        test = [] if self.test is None else [("test", self.test.raw, self.test.steps)]
        return [*found, *test]


def prepare(config: FitConfig, joints: tuple[str, ...] | None = None) -> PreparedData:
    """Read, complete and split the recordings of a fit.

    Trajectories are split at pauses, and checked; see [`lagdyna.checks.check_recordings`][].
    Missing velocities are estimated from positions, and accelerations where the config asks
    for them. Unequal steps are interpolated. The files of `data.test` go the same way.

    **Arguments:** `config`; `joints`, the order of the joints, by default that of the first
    file.

    **Raises:** `UserError` if the recordings cannot be used.
    """
    data = config.data
    prepared = _prepare(
        config, lambda found: split(found, data.validation, seed=config.seed), joints
    )
    if data.test is None:
        return prepared
    files = dataclasses.replace(data, file=data.test, test=None, dt=prepared.dt)
    try:
        found = _prepare(
            dataclasses.replace(config, data=files),
            lambda found: Split(found, found),
            prepared.joints,
        )
    except UserError as error:
        raise UserError(f"`data.test`: {error}") from error
    doubts = check_test(data, prepared, found)
    notes = [f"{files.title}: {note}" for note in found.notes if note not in prepared.notes]
    test = Unseen(found.raw.validation, found.steps.validation)
    return prepared._replace(notes=[*prepared.notes, *notes, *doubts], test=test)


def _prepare(
    config: FitConfig,
    divide: Callable[[TrajectorySet], Split],
    joints: tuple[str, ...] | None = None,
) -> PreparedData:
    """Read and complete recordings.

    **Arguments:** `divide`, the split; `joints`, the order of the joints, that of the first
    file by default.
    """
    notes: list[str] = []
    try:
        data = with_layout(config.data)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            # Degrees are found again by the checks below.
            warnings.simplefilter("ignore", DegreesWarning)
            recorded = in_order(read_recordings(data), joints, data.title)
            coordinates = coordinates_of(data, recorded.n)
            control = _control(data, recorded)
            recorded, found = without_pauses(_with_control(recorded, control))
            notes += found
            dt = _median_step(recorded) if data.dt is None else data.dt
            estimated = "qd" not in recorded.fields
            smoothed = _wants_accelerations(config, recorded)
            rows = SMOOTHED_ROWS if estimated or smoothed else 2
            recorded, short = without_short(recorded, dt, rows=rows)
            notes += short
            if not estimated:
                _check_no_noise(data)
            else:
                notes.append(_describe_velocities(data, recorded))
                recorded = estimate_velocities(recorded, coordinates, data.noise)
            notes += _findings(data, recorded, coordinates, control)
            if smoothed:
                recorded = estimate_accelerations(recorded, coordinates)
                notes.append("accelerations were not recorded and were estimated by smoothing")
            raw = divide(recorded)
        notes += dict.fromkeys(str(warning.message) for warning in caught)
        steps, lengths = raw, np.concatenate([np.diff(each.t) for each in recorded])
        if np.any(np.abs(lengths - dt) > 0.01 * dt):
            steps = Split(*(resample(each, coordinates, dt) for each in raw))
            notes.append(f"steps of {dt:.6g} s were interpolated from unequal ones")
    except DataError as error:
        raise UserError(str(error)) from error
    width = {None: 0, "tau": recorded.n, "action": recorded.m}[control]
    named = recorded.joints
    return PreparedData(
        coordinates, control, width, dt, raw, steps, notes, named, None, estimated
    )


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


def read_recordings(data: DataConfig) -> TrajectorySet:
    """Read the recordings."""
    return read(
        [located(each) for each in data.files],
        lambda n: coordinates_of(data, n),
        layout=None if data.layout is None else data.layout.observations,
        columns=data.columns,
        merge=data.merge,
        duplicates=data.duplicates,
        topic=data.topic,
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
    rounded = with_joints(", ".join(found), recorded.joints)
    return f"{text}, which are rounded to steps of {rounded}" if found else text


def _findings(
    data: DataConfig, recorded: TrajectorySet, coordinates: Coordinates, control: Control
) -> list[str]:
    """Check the recordings, and list what was found as notes.

    **Raises:** `UserError` if columns contradict each other and `data.unchecked` is not set.
    """
    findings = [
        each._replace(text=with_joints(each.text, recorded.joints))
        for each in check_recordings(recorded, coordinates, control)
    ]
    wrong = [each.text for each in findings if each.contradiction]
    if wrong and not data.unchecked:
        raise UserError(
            f"{data.title}: {'; '.join(wrong)}; correct the columns, in SI units, or set "
            "`data.unchecked` to fit them as they are"
        )
    return [each.text for each in findings]


def with_joints(text: str, joints: Sequence[str] | None) -> str:
    """Add the name of the joint to the columns in a sentence: `q0` becomes `q0 (elbow)`."""

    def name(match: re.Match[str]) -> str:
        i = int(match[1])
        return match[0] if i >= len(joints or ()) else f"{match[0]} ({(joints or ())[i]})"

    return re.sub(r"\b(?:q|qd|qdd|tau)([0-9]{1,4})\b", name, text)


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
    pairs = zip(trajectories, kept, strict=True)
    return TrajectorySet([each.replaced(arrays) for each, arrays in pairs])


def _wants_accelerations(config: FitConfig, recorded: TrajectorySet) -> bool:
    """Whether accelerations are to be estimated: by the option, or for the loss."""
    there, asked = "qdd" in recorded.fields, config.data.accelerations is not None
    if there and asked:
        raise UserError(
            f"`data.accelerations` was {config.data.accelerations!r}, and {config.data.title} "
            "has accelerations `qdd`; leave the option or the array out"
        )
    return not there and (asked or config.loss.needs == "qdd")


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
    test = () if data.test is None else data.test.raw
    for trajectory in (*data.raw.training, *data.raw.validation, *test):
        for array in trajectory.arrays.values():
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
