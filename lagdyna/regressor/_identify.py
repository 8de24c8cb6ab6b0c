"""Identification of robots: physically consistent parameters of least force error.

The regressor is reduced first, so that the fit is a problem of the size of the parameters.
Consistency as in Rucker & Wensing (2022), Smooth parameterization of rigid-body inertia.
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import least_squares
from threadpoolctl import threadpool_limits

from ..learners import Accelerations, SignalModel, SignalRows
from ..mechanics import MechanicalSystem, SumLagrangian
from ..systems import RobotModel
from ._links import PER_LINK, linear_parameters, slopes_of
from ._rows import (
    Column,
    JointFactors,
    Reduced,
    frictions_of,
    inner_friction,
    linear_values,
    parameters_of,
    reduce_joints,
    solid,
)

# Smallest friction coefficient or rotor inertia, of its starting value.
_LEAST = 1e-6

# Smallest mean squared scaled force error that a prior is weighed against.
_FLOOR = 1e-13

# Smallest force error that forces are weighed by, of the scale of each force.
_LEAST_SPREAD = 1e-5

# Evaluations of the reduced problem.
_EVALUATIONS = 300


def identify(
    system: MechanicalSystem,
    reduced: Reduced,
    *,
    prior: float,
    fixed: tuple[str, ...] = (),
    offset: Float[np.ndarray, " n"] | None = None,
    guess: MechanicalSystem | None = None,
    tolerance: float = 1e-12,
) -> tuple[MechanicalSystem, Float[np.ndarray, " n"] | None]:
    """Find physically consistent parameters of least force error.

    Weights of a learned potential energy are those that fit best to these parameters.

    **Arguments:**

    - `system`: the robot with its starting values.
    - `reduced`: regressor of the recordings.
    - `prior`: standard deviation of the starting inertia, in log-Cholesky coordinates. The
        errors of forces are taken to be those of the best parameters that need not be
        physically consistent.
    - `fixed`: names of what keeps its starting value: `inertia`, `armature`, `dissipation`.
    - `offset`: initial offsets, `None` without offsets.
    - `guess`: robot from which the search begins, by default `system`.
    - `tolerance`: relative change of the sum of squares, or of the parameters, that ends it.

    **Returns:** the robot, and the offsets.
    """
    robot = system.lagrangian
    assert isinstance(robot, RobotModel)
    start_links = np.asarray(robot.inertia, np.float64)
    values = linear_values(system, reduced.columns, offset)
    free_columns = np.array([not _is_fixed(x.kind, fixed) for x in reduced.columns], bool)
    free_links = "inertia" not in fixed and "lagrangian" not in fixed
    links, size = len(start_links), start_links.size if free_links else 0
    positive = np.array([each.kind != "offset" for each in reduced.columns], bool)
    lower = np.where(positive, _LEAST * np.maximum(values, 1e-3), -np.inf)[free_columns]
    weight = np.sqrt(max(reduced.force_error, _FLOOR)) / prior
    massive = solid(robot)

    def unpack(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        parameters = x[:size].reshape(links, PER_LINK) if free_links else start_links
        linear = values.copy()
        linear[free_columns] = x[size:]
        return parameters, linear

    def errors(x: np.ndarray) -> np.ndarray:
        parameters, linear = unpack(x)
        bodies = linear_parameters(parameters) * massive[:, None]
        residual = reduced.factor @ np.concatenate([bodies.ravel(), linear, [-1.0]])
        return np.concatenate([residual, weight * (parameters - start_links).ravel()])

    def slopes(x: np.ndarray) -> np.ndarray:
        parameters, _ = unpack(x)
        inner = reduced.factor[:, links * PER_LINK : -1][:, free_columns]
        below = np.zeros((start_links.size, len(x)))
        if not free_links:
            return np.concatenate([inner, below])
        change = slopes_of(parameters) * massive[:, None, None]
        blocks = [
            reduced.factor[:, i * PER_LINK : (i + 1) * PER_LINK] @ change[i]
            for i in range(links)
        ]
        below[:, :size] = weight * np.eye(size)
        return np.concatenate([np.concatenate([*blocks, inner], axis=1), below])

    first = robot if guess is None else guess.lagrangian
    assert isinstance(first, RobotModel)
    begun = values if guess is None else linear_values(guess, reduced.columns, offset)
    first_links = np.asarray(first.inertia, np.float64)
    start = np.concatenate([first_links.ravel()[:size], begun[free_columns]])
    bounds = np.concatenate([np.full(size, -np.inf), lower])
    start = np.maximum(start, np.where(np.isfinite(bounds), 2 * bounds, -np.inf))
    with np.errstate(over="ignore", invalid="ignore"):  # of trials that are not taken
        found = least_squares(
            errors,
            start,
            jac=slopes,  # pyright: ignore[reportArgumentType]
            bounds=(bounds, np.inf),
            x_scale="jac",
            ftol=tolerance,
            xtol=tolerance,
            gtol=1e-15,
            max_nfev=_EVALUATIONS,
        )
    parameters, linear = unpack(found.x)
    whole, left = _with_values(system, reduced.columns, parameters, linear)
    bodies = linear_parameters(parameters) * massive[:, None]
    weights = -reduced.projection @ np.concatenate([bodies.ravel(), linear, [-1.0]])
    return _with_weights(whole, weights), left


def _with_weights(
    system: MechanicalSystem, weights: Float[np.ndarray, " features"]
) -> MechanicalSystem:
    if not len(weights):
        return system
    robot = system.lagrangian
    assert isinstance(robot, RobotModel)
    robot = eqx.tree_at(
        lambda x: x.extra.weights, robot, jnp.asarray(weights, robot.inertia.dtype)
    )
    return eqx.tree_at(lambda x: x.lagrangian, system, robot)


def _is_fixed(kind: str, fixed: tuple[str, ...]) -> bool:
    names = {"armature": ("armature", "lagrangian"), "offset": ("offset",)}
    return any(name in fixed for name in names.get(kind, ("dissipation",)))


def identify_weighted(
    system: MechanicalSystem,
    factors: JointFactors,
    scale: Float[np.ndarray, " n"],
    *,
    prior: float,
    extra: float = 1.0,
    fixed: tuple[str, ...] = (),
    offset: Float[np.ndarray, " n"] | None = None,
    guess: MechanicalSystem | None = None,
    tolerance: float = 1e-12,
) -> tuple[MechanicalSystem, Float[np.ndarray, " n"] | None]:
    """Identify a robot, each joint's force weighted by the error that is left of it.

    Gautier & Poignet (2001), Extended Kalman filtering and weighted least squares dynamic
    identification of robot.

    **Arguments:** `scale`, of each force; `extra`, usual size of the forces of a learned
    potential energy, relative to `scale`; the others and the result as of `identify`.
    """
    robot = system.lagrangian
    assert isinstance(robot, RobotModel)
    reach = 1.0 if robot.extra is None else robot.extra.length
    size = extra * float(np.mean(scale)) / reach
    found, left = guess, offset
    weights = scale
    for _ in range(2):
        found, left = identify(
            system,
            factors.weighted(weights, size),
            prior=prior,
            fixed=fixed,
            offset=offset,
            guess=found,
            tolerance=tolerance,
        )
        errors = factors.errors(parameters_of(found, left))
        weights = np.maximum(errors, _LEAST_SPREAD * scale)
    assert found is not None
    return found, left


def _with_values(
    system: MechanicalSystem,
    columns: tuple[Column, ...],
    parameters: Float[np.ndarray, "links 10"],
    linear: Float[np.ndarray, " k"],
) -> tuple[MechanicalSystem, Float[np.ndarray, " n"] | None]:
    """Set the values of a system."""
    robot = system.lagrangian
    assert isinstance(robot, RobotModel)
    dtype = robot.inertia.dtype
    blocks = [linear[i : i + robot.tree.links] for i in range(0, len(linear), robot.tree.links)]
    kinds = [each.kind for each in columns[:: robot.tree.links]]
    named = dict(zip(kinds, blocks, strict=True))
    robot = eqx.tree_at(lambda x: x.inertia, robot, jnp.asarray(parameters, dtype))
    if "armature" in named:
        armature = jnp.asarray(named["armature"], dtype)
        robot = eqx.tree_at(lambda x: x.armature, robot, armature)
    system = eqx.tree_at(lambda x: x.lagrangian, system, robot)
    for i in range(len(frictions_of(system.dissipation))):
        coefficients = named[f"friction {i}"]
        raw = coefficients + np.log(-np.expm1(-coefficients))

        system = eqx.tree_at(
            lambda x, i=i: inner_friction(frictions_of(x.dissipation)[i]).raw,
            system,
            jnp.asarray(raw, dtype),
        )
    return system, named.get("offset")


def robot_system(system: MechanicalSystem) -> MechanicalSystem:
    """Return the robot in a system without what is added to it by learning."""
    lagrangian = system.lagrangian
    if isinstance(lagrangian, SumLagrangian):
        lagrangian = lagrangian.known
    return dataclasses.replace(system, lagrangian=lagrangian, residual=None)


def _with_robot(whole: MechanicalSystem, robot: MechanicalSystem) -> MechanicalSystem:
    lagrangian = whole.lagrangian
    if isinstance(lagrangian, SumLagrangian):
        lagrangian = dataclasses.replace(lagrangian, known=robot.lagrangian)
    else:
        lagrangian = robot.lagrangian
    return dataclasses.replace(whole, lagrangian=lagrangian, dissipation=robot.dissipation)


def is_linear(part: Any) -> bool:
    """Whether all free parameters beside inertia are linear, so that no update is left."""
    signals = part.signals if isinstance(part, SignalModel) else None
    system = part.model if isinstance(part, SignalModel) else part
    others = eqx.filter(signals, eqx.is_inexact_array)
    count = len(jax.tree.leaves(others))
    if signals is not None and signals.scaled_offset is not None:
        count -= 1
    leaves = jax.tree.leaves(eqx.filter(system.dissipation, eqx.is_inexact_array))
    return count == 0 and len(leaves) == len(frictions_of(system.dissipation))


# Threads of BLAS cost matrices of this size more than they gain.
@threadpool_limits.wrap(limits=1, user_api="blas")
def identified_start(
    rows: Any,
    part: Any,
    scale: Array,
    *,
    prior: float,
    extra: float = 1.0,
    fixed: tuple[str, ...] = (),
) -> Any:
    """Identify a robot by its regressor where this is possible, else return it as it is.

    **Arguments:**

    - `rows`: training data of a loss.
    - `part`: the part of the model that the loss takes, a system of a robot with or without
        signals.
    - `scale`: scale of each force.
    - `prior`, `extra`, `fixed`: as of `identify_weighted`.
    """
    signals = part.signals if isinstance(part, SignalModel) else None
    system = part.model if isinstance(part, SignalModel) else part
    if isinstance(rows, SignalRows):
        rows = rows.rows
    if not (
        isinstance(rows, Accelerations)
        and isinstance(system, MechanicalSystem)
        and isinstance(robot_system(system).lagrangian, RobotModel)
    ):
        return part
    offset = None if signals is None else signals.offset
    whole, system = system, robot_system(system)
    start = None if offset is None else np.asarray(offset, np.float64)
    factors = reduce_joints(system, rows, offset=offset is not None)[0]
    found_system, found = identify_weighted(
        system,
        factors,
        np.asarray(scale),
        prior=prior,
        extra=extra,
        fixed=fixed,
        offset=start,
    )
    system = _with_robot(whole, found_system)
    if signals is None:
        return system
    if found is not None:
        unit = np.ones(len(found)) if signals.offset_unit is None else signals.offset_unit
        scaled = jnp.asarray(found / np.asarray(unit), scale.dtype)
        signals = eqx.tree_at(lambda x: x.scaled_offset, signals, scaled)
    return SignalModel(system, signals)
