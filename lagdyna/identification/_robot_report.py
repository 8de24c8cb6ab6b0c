"""Inertial parameters of an identified robot in the report of a fit."""

from typing import Any

import numpy as np
from jaxtyping import Array, Float
from scipy.special import stdtrit
from threadpoolctl import threadpool_limits

from ..learners import Accelerations, SignalModel, SignalRows
from ..mechanics import MechanicalSystem
from ..regressor import PER_LINK, linear_parameters, parameters_of, reduce, row_regressors
from ..systems import RobotModel
from ._evaluation import Report, finite

# Singular values below this fraction of the largest belong to undetermined directions.
_RELATIVE = 1e-6

# Share of a parameter's unit vector in undetermined directions from which it is undetermined.
_SHARE = 1e-3

# Consecutive rows whose errors may be correlated are blocks; number of blocks.
_BLOCKS = 64

_NAMES = ("mass", "mx", "my", "mz", "ixx", "iyy", "izz", "ixy", "ixz", "iyz")


@threadpool_limits.wrap(limits=1, user_api="blas")
def robot_report(
    start: MechanicalSystem, part: Any, rows: Any, scale: Float[Array, " n"]
) -> Report | None:
    """Describe the links of a fitted robot, and which of their numbers the data determine.

    **Arguments:**

    - `start`: the robot before the fit.
    - `part`: the fitted robot, with or without signals.
    - `rows`: training data of the loss.
    - `scale`: scale of each force.

    **Returns:** `None` if accelerations are not among the data. Otherwise a table: for each
    link its mass, centre of mass and principal moments of inertia about it; for each linear
    parameter (mass, first moments `mx`, and moments of inertia about the joint) the estimate,
    its 95 % interval, and `None` in place of the interval where the data do not determine it;
    the number of determined combinations (base parameters) and their condition number.
    """
    signals = part.signals if isinstance(part, SignalModel) else None
    system = part.model if isinstance(part, SignalModel) else part
    if isinstance(rows, SignalRows):
        rows = rows.rows
    if not isinstance(rows, Accelerations) or not isinstance(system, MechanicalSystem):
        return None
    robot, before = system.lagrangian, start.lagrangian
    if not isinstance(robot, RobotModel) or not isinstance(before, RobotModel):
        return None
    offset = None if signals is None else signals.offset
    reduced = reduce(system, rows, scale, offset=offset is not None)
    matrix = reduced.factor[:, :-1]
    size = np.linalg.norm(matrix, axis=0)
    unit = np.where(size > 1e-9 * size.max(), size, np.inf)
    _, singular, directions = np.linalg.svd(matrix / unit)
    rank = int(np.sum(singular > _RELATIVE * singular[0]))
    missing = np.sqrt(np.sum(directions[rank:] ** 2, axis=0))
    known = (missing < _SHARE) & np.isfinite(unit)

    half = _half_widths(system, reduced, rows, scale, offset, unit, rank)
    estimate = linear_parameters(np.asarray(robot.inertia, np.float64))
    initial = linear_parameters(np.asarray(before.inertia, np.float64))
    links = []
    names = _link_names(robot)
    for i, name in enumerate(names):
        places = range(i * PER_LINK, (i + 1) * PER_LINK)
        numbers = [
            {
                "name": _NAMES[k],
                "start": finite(float(initial[i, k])),
                "fitted": finite(float(estimate[i, k])),
                "interval": [
                    finite(float(estimate[i, k] - half[place])),
                    finite(float(estimate[i, k] + half[place])),
                ]
                if known[place]
                else None,
            }
            for k, place in enumerate(places)
        ]
        links.append({"joint": name, **_readable(initial[i], estimate[i]), "numbers": numbers})
    return {
        "links": links,
        "base_parameters": rank,
        "parameters": int(np.sum(np.isfinite(unit))),
        "condition": finite(float(singular[0] / singular[rank - 1])) if rank else None,
        "least_force_error": finite(float(np.sqrt(reduced.force_error))),
    }


def _link_names(robot: RobotModel) -> tuple[str, ...]:
    if robot.description is None:
        return tuple(f"joint{i + 1}" for i in range(robot.tree.links))
    return robot.description.joints


def _readable(
    initial: Float[np.ndarray, " 10"], fitted: Float[np.ndarray, " 10"]
) -> dict[str, Any]:
    """Compute mass, centre of mass and principal moments about it, before and after."""
    found: dict[str, Any] = {}
    for when, p in (("start", initial), ("fitted", fitted)):
        mass, centre = p[0], p[1:4] / p[0]
        about = np.array([[p[4], p[7], p[8]], [p[7], p[5], p[9]], [p[8], p[9], p[6]]])
        own = about - mass * (centre @ centre * np.eye(3) - np.outer(centre, centre))
        found[when] = {
            "mass": finite(float(mass)),
            "centre": [finite(float(x)) for x in centre],
            "moments": [finite(float(x)) for x in np.linalg.eigvalsh(own)],
        }
    return found


def _half_widths(
    system: MechanicalSystem,
    reduced: Any,
    rows: Accelerations,
    scale: Float[Array, " n"],
    offset: Any,
    unit: Float[np.ndarray, " k"],
    rank: int,
) -> Float[np.ndarray, " k"]:
    """Compute half widths of 95 % intervals.

    Errors may be correlated within blocks of consecutive rows (Liang & Zeger 1986).
    """
    matrix = reduced.factor[:, :-1] / unit
    _, singular, directions = np.linalg.svd(matrix, full_matrices=False)
    inverse = directions[:rank].T / singular[:rank] ** 2 @ directions[:rank]
    length = -(-rows.qdd.shape[0] // _BLOCKS)
    slopes = np.zeros((_BLOCKS, matrix.shape[1]))
    left = None if offset is None else np.asarray(offset, np.float64)
    target = np.append(parameters_of(system, left), -1.0)
    some = len(reduced.projection)
    for index, each in row_regressors(system, rows, left is not None):
        scaled = each / np.asarray(scale, np.float64)[:, None]
        error = scaled @ target
        # Of what the weights of a potential energy do not explain.
        own = scaled[..., some:] - scaled[..., :some] @ reduced.projection
        slope = np.einsum("rnk,rn->rk", own[..., :-1] / unit, error)
        np.add.at(slopes, index // length, slope)
    meat, blocks = slopes.T @ slopes, -(-rows.qdd.shape[0] // length)
    spread = np.sqrt(np.maximum(np.diag(inverse @ meat @ inverse), 0)) / unit
    return float(stdtrit(max(blocks - 1, 1), 0.975)) * spread
