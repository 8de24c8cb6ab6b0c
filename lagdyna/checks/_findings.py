"""Judgements of a description by the motion that random actions cause."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from ..tasks import CoordinateSpec, TaskSpec

Verdict = Literal["ok", "warning", "wrong"]
Rows = Float[np.ndarray, "time _"]

# Refuse what is off by more than this factor, warn from the other one.
_WRONG, _DOUBTFUL = 3.0, 1.25
_FEWEST = 8  # transitions, below which nothing is judged


class TaskFinding(NamedTuple):
    """Result of one check of a task's description.

    **Attributes:**

    - `what`: the part of the description or of the environment.
    - `verdict`: `"ok"`, `"warning"`, or `"wrong"` for what is certainly wrong.
    - `found`: what was seen.
    - `advice`: what to do; empty if nothing.
    """

    what: str
    verdict: Verdict
    found: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.found}" + (f"; {self.advice}" if self.advice else "")


class Motion(NamedTuple):
    """Transitions that random actions caused, one a row.

    **Attributes:** `observations` and `after`, before and after each step; `q`, `qd`, `next_q`
    and `next_qd`, the state that the description reads there; `actions`, scaled to [-1, 1];
    `previous`, the action before in the same episode, NaN at its start.
    """

    observations: Rows
    after: Rows
    q: Rows
    qd: Rows
    next_q: Rows
    next_qd: Rows
    actions: Rows
    previous: Rows

    @property
    def steps(self) -> int:
        """Number of transitions."""
        return len(self.actions)


def judge(spec: TaskSpec, motion: Motion) -> Iterator[TaskFinding]:
    """Compare a description with the motion of its environment."""
    broken = False
    for i, coordinate in enumerate(spec.coordinates):
        if coordinate.cos is not None:
            circle = _circle(i, coordinate, motion)
            broken |= circle.verdict == "wrong"
            yield circle
    if broken:  # all that follows from it would be said of other angles
        return
    if motion.steps < _FEWEST:
        yield TaskFinding(
            "motion",
            "warning",
            f"{motion.steps} steps were possible, too few to judge the motion",
        )
        return
    for i in range(spec.n):
        if spec.coordinates[i].velocity is None:
            yield _estimated(i, spec, motion)
        else:
            yield _kinematics(i, spec, motion)
        yield from _ranges(i, spec.coordinates[i], motion)
    for j in range(spec.action_size):
        yield _actuation(j, spec, motion)
    yield from _friction(spec, motion)
    yield from _context(spec, motion)


def _circle(i: int, coordinate: CoordinateSpec, motion: Motion) -> TaskFinding:
    """Check that two entries of the observation are a cosine and a sine."""
    rows = np.concatenate([motion.observations, motion.after])
    cos, sin = coordinate.cos, coordinate.sin
    assert cos is not None
    assert sin is not None
    squares = rows[:, cos] ** 2 + rows[:, sin] ** 2
    off = float(np.median(np.abs(squares - 1)))
    what, named = f"coordinates[{i}] cos, sin", f"the squares of entries {cos} and {sin}"
    if off <= 0.01:
        return TaskFinding(what, "ok", f"{named} add up to 1")
    others = [
        (a, b)
        for a in range(rows.shape[1])
        for b in range(a + 1, rows.shape[1])
        if np.median(np.abs(rows[:, a] ** 2 + rows[:, b] ** 2 - 1)) < 1e-3
    ]
    advice = f"check the indices `cos` and `sin` of `task.coordinates[{i}]`"
    if others:
        pairs = ", ".join(f"{a} and {b}" for a, b in others[:3])
        advice += f"; those of entries {pairs} add up to 1"
    found = f"{named} add up to {np.median(squares):.3g}, those of a cosine and a sine to 1"
    return TaskFinding(what, "wrong" if off > 0.05 else "warning", found, advice)


def changes(i: int, spec: TaskSpec, motion: Motion) -> Float[np.ndarray, " time"]:
    """Compute the change of a coordinate in each transition, of angles the shortest."""
    change = motion.next_q[:, i] - motion.q[:, i]
    if spec.coordinates[i].kind == "angle":
        change = np.arctan2(np.sin(change), np.cos(change))
    return change


def _slopes(change: np.ndarray, motion: np.ndarray) -> tuple[float, float, float]:
    """Regress two signals through zero, in both directions.

    **Returns:** both slopes of the change over the motion, between which the true one lies if
    either has noise, and the squared correlation.
    """
    xx, xy, yy = motion @ motion, motion @ change, change @ change
    if yy == 0:
        return 0.0, 0.0, 0.0
    if xy == 0:
        return (np.inf if xx == 0 else 0.0), np.inf, 0.0
    return float(xy / xx), float(yy / xy), float(xy**2 / (xx * yy))


def _kinematics(i: int, spec: TaskSpec, motion: Motion) -> TaskFinding:
    """Check that a coordinate changes by its velocity times `dt`."""
    coordinate, change = spec.coordinates[i], changes(i, spec, motion)
    speed = (motion.qd[:, i] + motion.next_qd[:, i]) / 2
    what, expected = f"coordinates[{i}] velocity, dt", spec.dt * speed
    entry = f"entry {coordinate.velocity}"
    if not np.any(speed) and not np.any(change):
        return TaskFinding(
            what,
            "warning",
            f"neither the coordinate nor its velocity changed in {motion.steps} random steps",
            "check the indices of the coordinate",
        )
    low, high, fit = _slopes(change, expected)
    other = _better_entry(i, spec, motion, change)
    if fit < 0.5 and other is not None:
        return TaskFinding(
            what,
            "wrong",
            f"the coordinate does not change with {entry} of the observation, its velocity",
            f"the change fits entry {other}: `velocity = {other}` in `task.coordinates[{i}]`?",
        )
    turns = coordinate.kind == "angle" and float(np.max(np.abs(expected))) > 2.5
    if turns and fit < 0.8:
        return TaskFinding(
            what,
            "warning",
            "velocity times `dt` is most of a turn in a step, too much to compare with angles",
            "check `dt`, and the unit of the velocity",
        )
    if fit >= 0.25 and low < 0:
        return TaskFinding(
            what,
            "wrong",
            f"the coordinate changes by {low:.3g} times velocity times `dt`, so against its "
            "velocity",
            "are `cos` and `sin` exchanged?"
            if coordinate.cos is not None
            else "the velocity has the other sign",
        )
    ends = sorted((abs(low), abs(high)))
    factor = float(np.sqrt(ends[0] * ends[1])) if np.isfinite(ends[1]) else np.inf
    found = f"the coordinate changes by {factor:.3g} times velocity times `dt`"
    advice = (
        f"`dt = {spec.dt * factor:.3g}` fits; or the velocity, {entry}, is in another unit"
        if 0 < factor < np.inf
        else f"check the indices of `task.coordinates[{i}]`"
    )
    if low >= 0 and (ends[0] > _WRONG or ends[1] < 1 / _WRONG):
        return TaskFinding(what, "wrong", found, advice)
    if low < 0 or fit < 0.5:
        return TaskFinding(
            what,
            "warning",
            f"velocity times `dt` explains {100 * fit:.0f} % of the changes of the coordinate",
            f"check the indices of `task.coordinates[{i}]`, or is there much noise?",
        )
    if ends[0] > _DOUBTFUL or ends[1] < 1 / _DOUBTFUL:
        return TaskFinding(what, "warning", found, advice)
    return TaskFinding(what, "ok", found)


def _estimated(i: int, spec: TaskSpec, motion: Motion) -> TaskFinding:
    """Check that the positions of a coordinate tell its velocity."""
    coordinate, change = spec.coordinates[i], changes(i, spec, motion)
    what, fastest = f"coordinates[{i}] position", float(np.max(np.abs(change))) / spec.dt
    if not np.any(change):
        return TaskFinding(
            what,
            "warning",
            f"the coordinate did not change in {motion.steps} random steps",
            "check its indices",
        )
    if coordinate.kind == "angle" and fastest * spec.dt > 2.5:
        return TaskFinding(
            what,
            "warning",
            "the angle moves by most of half a turn in a step, too much to estimate velocities",
            "check the index, and that the angle is in radians; or observe more often",
        )
    other = _better_entry(i, spec, motion, change)
    if other is not None:
        return TaskFinding(
            what,
            "warning",
            f"its velocity is estimated, and its change fits entry {other} of the observation",
            f"set `velocity = {other}` in `task.coordinates[{i}]` if that is the velocity",
        )
    found = f"its velocity is estimated from positions, up to {fastest:.3g}"
    largest = coordinate.reach[1]
    if fastest > _WRONG * largest:
        return TaskFinding(
            what,
            "warning",
            f"{found}, and its range is {largest:g}",
            "check `dt`, `velocity_range` and the unit, or is there much noise?",
        )
    return TaskFinding(what, "ok", found)


def _better_entry(i: int, spec: TaskSpec, motion: Motion, change: np.ndarray) -> int | None:
    """Find the entry of the observation that a coordinate changes with."""
    best, found = 0.95, None
    for entry in range(motion.observations.shape[1] - spec.estimated):
        speed = (motion.observations[:, entry] + motion.after[:, entry]) / 2
        low, high, fit = _slopes(change, spec.dt * speed)
        if fit > best and 1 / _WRONG < low <= high < _WRONG:
            best, found = fit, entry
    return found


def _ranges(i: int, coordinate: CoordinateSpec, motion: Motion) -> Iterator[TaskFinding]:
    """Check limits of the velocity, and the unit of an angle."""
    fastest, limit = float(np.max(np.abs(motion.next_qd[:, i]))), coordinate.velocity_limit
    if limit is not None and fastest > 1.001 * limit:
        yield TaskFinding(
            f"coordinates[{i}] velocity_limit",
            "warning",
            f"a speed of {fastest:.3g} was seen, and the limit is {limit:g}",
            "give the speed at which the environment clips, or `velocity_range` instead",
        )
    largest = float(np.max(np.abs(motion.next_q[:, i])))
    if coordinate.kind == "angle" and largest > 30:
        yield TaskFinding(
            f"coordinates[{i}] position",
            "warning",
            f"the angle reached {largest:.3g}",
            "angles are in radians; are these degrees?",
        )


def _features(spec: TaskSpec, motion: Motion, rows: np.ndarray) -> list[np.ndarray]:
    """Collect functions of the state that explain accelerations without actions."""
    columns: list[np.ndarray] = [np.ones(int(rows.sum()))]
    for i, coordinate in enumerate(spec.coordinates):
        q = motion.q[rows, i]
        columns += [np.sin(q), np.cos(q)] if coordinate.kind == "angle" else [q]
        columns.append(motion.qd[rows, i])
    return columns


def _regress(
    columns: Sequence[np.ndarray], target: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Regress a signal on columns, and return coefficients and their t statistics."""
    design = np.stack(columns, axis=1)
    scale = np.linalg.norm(design, axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    inverse = np.linalg.pinv(design / scale, rcond=1e-9)
    coefficients = inverse @ target
    residual = target - design / scale @ coefficients
    freedom = max(len(target) - design.shape[1], 1)
    # A floor for environments without noise, whose residuals are rounding.
    variance = residual @ residual / freedom + 1e-10 * (target @ target) / len(target)
    errors = np.sqrt(variance * np.sum(inverse**2, axis=1)) + 1e-300
    return coefficients / scale, coefficients / errors


def _accelerations(spec: TaskSpec, motion: Motion) -> Rows:
    return (motion.next_qd[:, : spec.n] - motion.qd[:, : spec.n]) / spec.dt


def _actuation(j: int, spec: TaskSpec, motion: Motion) -> TaskFinding:
    """Check that an action accelerates in the direction of its column of `force`.

    The acceleration of a mechanical system along its force is positive, whatever its masses.
    """
    what, column = f"force of action {j}", np.asarray([row[j] for row in spec.force])
    rows = np.isfinite(motion.previous[:, 0])
    columns = _features(spec, motion, rows)
    actions = [*motion.actions[rows].T, *motion.previous[rows].T]
    if rows.sum() < 2 * (len(columns) + len(actions)):
        columns = columns[:1]  # too few steps for more
    if rows.sum() < len(columns) + len(actions) + 4:
        return TaskFinding(
            what, "warning", "episodes were too short to see the effect of actions"
        )
    accelerations = _accelerations(spec, motion)[rows]
    now = len(columns) + j
    if not np.any(column):
        effects = [_regress([*columns, *actions], a)[1][now] for a in accelerations.T]
        strongest = int(np.argmax(np.abs(effects)))
        if abs(effects[strongest]) > 8:
            return TaskFinding(
                what,
                "warning",
                f"it accelerates coordinate {strongest}, and its column of `force` is zero",
                "give the force of the action",
            )
        return TaskFinding(what, "ok", "no effect, and none is described")
    _, t = _regress([*columns, *actions], accelerations @ column)
    direct, later = float(t[now]), float(t[now + motion.actions.shape[1]])
    if direct > 4:
        return TaskFinding(what, "ok", "it accelerates in the direction that `force` gives")
    if direct < -6:
        return TaskFinding(
            what,
            "wrong",
            "it accelerates against the direction that `force` gives",
            f"change the sign of column {j} of `force`, or check its row and the velocities",
        )
    if later > 6:
        return TaskFinding(
            what,
            "warning",
            "it takes effect one step later",
            "the model does not describe delays; observe the state after the action acted",
        )
    return TaskFinding(
        what,
        "warning",
        f"no effect on its coordinates was seen in {int(rows.sum())} random steps",
        f"check the row of column {j} of `force` and the order of the actions, or take more "
        "steps if there is much noise",
    )


def _friction(spec: TaskSpec, motion: Motion) -> Iterator[TaskFinding]:
    """Look for viscous friction of a single coordinate that is described without any.

    Of several coordinates it cannot be told from their coupling in so few steps.
    """
    if spec.n != 1 or spec.dissipation != "none":
        return
    coordinate = spec.coordinates[0]
    rows = np.ones(motion.steps, bool)
    if coordinate.velocity_limit is not None:  # a limit takes energy too
        fastest = np.maximum(np.abs(motion.qd[:, 0]), np.abs(motion.next_qd[:, 0]))
        rows = fastest < 0.98 * coordinate.velocity_limit
    speed = (motion.qd[rows, 0] + motion.next_qd[rows, 0]) / 2
    middle = motion.q[rows, 0] + changes(0, spec, motion)[rows] / 2
    shapes = [middle, middle**2]
    if coordinate.kind == "angle":
        shapes = [np.sin(middle), np.cos(middle)]
    # Products with the velocity absorb the error of the difference quotient.
    columns = [speed, np.ones_like(speed), *shapes, speed**2]
    columns += [speed * shape for shape in shapes] + [*motion.actions[rows].T]
    if len(speed) < 3 * len(columns):
        return
    rates, t = _regress(columns, _accelerations(spec, motion)[rows, 0])
    if t[0] < -8 and -rates[0] * spec.dt > 1e-3:
        yield TaskFinding(
            "dissipation",
            "warning",
            f"the velocity seems to decay at {-rates[0]:.2g} per second, and `dissipation` is "
            "'none'",
            'if there is friction, set `dissipation = "viscous"`',
        )


def _context(spec: TaskSpec, motion: Motion) -> Iterator[TaskFinding]:
    """Check that the context is constant within an episode."""
    for i in spec.context:
        if np.any(motion.after[:, i] != motion.observations[:, i]):
            yield TaskFinding(
                "context",
                "warning",
                f"entry {i} of the observation changes within an episode",
                "the context has to be constant there; leave the entry out",
            )
