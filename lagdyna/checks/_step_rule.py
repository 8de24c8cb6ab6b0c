"""Integration rule by which an environment steps, as its positions and velocities show."""

from collections.abc import Iterator

import numpy as np

from ..tasks import TaskSpec
from ._findings import Motion, TaskFinding, changes

_FEWEST = 20
_EXACT = 0.02  # residual beside that of the trapezoidal rule, below which a rule is certain
_MOST_STEPS = 3  # above it, the rule hardly differs from an exact solution


def judge_step_rule(spec: TaskSpec, motion: Motion) -> Iterator[TaskFinding]:
    """Find whether coordinates change as by steps of semi-implicit Euler.

    With `k` steps of constant acceleration in each `dt`, a coordinate changes by
    `dt (qd + next_qd) / 2 + dt (next_qd - qd) / (2 k)`. Exact solutions lack the last term up
    to the third order of `dt`.
    """
    measured = [i for i, each in enumerate(spec.coordinates) if each.velocity is not None]
    if not measured or motion.steps < _FEWEST:
        return
    error, bend = [], []
    for i in measured:
        limit = spec.coordinates[i].velocity_limit
        fastest = np.maximum(np.abs(motion.qd[:, i]), np.abs(motion.next_qd[:, i]))
        rows = fastest < 0.98 * (np.inf if limit is None else limit)
        mean = (motion.qd[rows, i] + motion.next_qd[rows, i]) / 2
        error.append(changes(i, spec, motion)[rows] - spec.dt * mean)
        bend.append(spec.dt * (motion.next_qd[rows, i] - motion.qd[rows, i]))
    e, b = np.concatenate(error), np.concatenate(bend)
    if len(e) < _FEWEST or not np.any(b):
        return
    factor = float(e @ b / (b @ b))
    if factor <= 1 / (2 * _MOST_STEPS + 1):
        return
    steps = max(1, round(1 / (2 * factor)))
    residual = np.median(np.abs(e - b / (2 * steps)))
    if residual < _EXACT * np.median(np.abs(b)):
        yield TaskFinding(
            "solver",
            "ok",
            f"the environment steps by semi-implicit Euler, {steps} time{'s' * (steps > 1)} in "
            "each `dt`",
            "the same solver adds no error to the model: `--solver semi_implicit_euler "
            f"--solver.substeps {steps}`",
        )
