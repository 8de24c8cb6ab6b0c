"""Identification of robots by their regressor.

Joint forces are linear in mass, first moment and inertia of each link, in rotor inertia, in
friction of given shape and in offsets. Recordings of any length therefore reduce to one small
triangular matrix, and the fit under the constraint of physical consistency is a problem of that
size. Atkeson, An & Hollerbach (1986), Estimation of inertial parameters of manipulator loads
and links; consistency as in Rucker & Wensing (2022).
"""

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import least_squares

from ..learners import Accelerations, SignalModel, SignalRows
from ..mechanics import (
    AbstractDissipation,
    MechanicalSystem,
    ScaledDissipation,
    SumDissipation,
    SumLagrangian,
)
from ..systems import RigidBodies, RobotModel
from ._links import PER_LINK, linear_parameters, slopes_of

# Rows in memory at a time.
_CHUNK = 2000

# Smallest friction coefficient or rotor inertia, of its starting value.
_LEAST = 1e-6

# Smallest mean squared scaled force error that a prior is weighed against.
_FLOOR = 1e-13

# Smallest force error that forces are weighed by, of the scale of each force.
_LEAST_SPREAD = 1e-5

# Evaluations of the reduced problem.
_EVALUATIONS = 300


class Column(NamedTuple):
    """Linear parameter of a joint's force: `kind` such as `viscous`, and the joint's index."""

    kind: str
    joint: int


class Reduced(NamedTuple):
    """Regressor of recordings, reduced to a triangular matrix.

    The sum of squares of the scaled force errors is that of `factor @ [parameters, -1]`.

    **Attributes:** `factor`, shape `(k + 1, k + 1)`; `columns`, of the parameters that follow
    `PER_LINK` numbers of each link; `rows`, number of force errors.
    """

    factor: Float[np.ndarray, "k1 k1"]
    columns: tuple[Column, ...]
    rows: int

    @property
    def links(self) -> int:
        """Number of links."""
        return (self.factor.shape[1] - 1 - len(self.columns)) // PER_LINK

    @property
    def force_error(self) -> float:
        """Smallest mean squared scaled force error of any parameters."""
        return float(self.factor[-1, -1] ** 2 / self.rows)


def reduce(
    system: MechanicalSystem,
    rows: Accelerations,
    scale: Float[Array, " n"],
    *,
    offset: bool = False,
) -> Reduced:
    """Reduce the regressor of recorded motions.

    **Arguments:**

    - `system`: a robot with its friction.
    - `rows`: states, actions and accelerations, with a leading axis.
    - `scale`: scale of each force; errors are divided by it.
    - `offset`: whether each force has a constant offset.
    """
    columns = _columns(system, offset)
    count = rows.qdd.shape[0]
    factor = np.zeros((0, 0))
    for start in range(0, count, _CHUNK):
        part = jax.tree.map(lambda x, a=start: x[a : a + _CHUNK], rows)
        matrix = np.asarray(regressor(system, part, offset), np.float64)
        matrix = (matrix / np.asarray(scale, np.float64)[:, None]).reshape(-1, matrix.shape[2])
        finite = matrix[np.all(np.isfinite(matrix), axis=1)]
        whole = finite if factor.size == 0 else np.concatenate([factor, finite])
        factor = np.linalg.qr(whole, mode="r")
    size = factor.shape[1]
    factor = np.concatenate([factor, np.zeros((max(0, size - len(factor)), size))])
    return Reduced(factor, columns, count * rows.qdd.shape[1])


def identify(
    system: MechanicalSystem,
    reduced: Reduced,
    *,
    prior: float,
    fixed: tuple[str, ...] = (),
    offset: Float[np.ndarray, " n"] | None = None,
) -> tuple[MechanicalSystem, Float[np.ndarray, " n"] | None]:
    """Find physically consistent parameters of least force error.

    **Arguments:**

    - `system`: the robot with its starting values.
    - `reduced`: regressor of the recordings.
    - `prior`: standard deviation of the starting inertia, in log-Cholesky coordinates. The
        errors of forces are taken to be those of the best parameters that need not be
        physically consistent.
    - `fixed`: names of what keeps its starting value: `inertia`, `armature`, `dissipation`.
    - `offset`: initial offsets, `None` without offsets.

    **Returns:** the robot, and the offsets.
    """
    robot = system.lagrangian
    assert isinstance(robot, RobotModel)
    start_links = np.asarray(robot.inertia, np.float64)
    values = _linear_values(system, reduced.columns, offset)
    free_columns = np.array([not _is_fixed(x.kind, fixed) for x in reduced.columns], bool)
    free_links = "inertia" not in fixed and "lagrangian" not in fixed
    links, size = len(start_links), start_links.size if free_links else 0
    positive = np.array([each.kind != "offset" for each in reduced.columns], bool)
    lower = np.where(positive, _LEAST * np.maximum(values, 1e-3), -np.inf)[free_columns]
    weight = np.sqrt(max(reduced.force_error, _FLOOR)) / prior
    solid = _solid(robot)

    def unpack(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        parameters = x[:size].reshape(links, PER_LINK) if free_links else start_links
        linear = values.copy()
        linear[free_columns] = x[size:]
        return parameters, linear

    def errors(x: np.ndarray) -> np.ndarray:
        parameters, linear = unpack(x)
        bodies = linear_parameters(parameters) * solid[:, None]
        residual = reduced.factor @ np.concatenate([bodies.ravel(), linear, [-1.0]])
        return np.concatenate([residual, weight * (parameters - start_links).ravel()])

    def slopes(x: np.ndarray) -> np.ndarray:
        parameters, _ = unpack(x)
        inner = reduced.factor[:, links * PER_LINK : -1][:, free_columns]
        below = np.zeros((start_links.size, len(x)))
        if not free_links:
            return np.concatenate([inner, below])
        change = slopes_of(parameters) * solid[:, None, None]
        blocks = [
            reduced.factor[:, i * PER_LINK : (i + 1) * PER_LINK] @ change[i]
            for i in range(links)
        ]
        below[:, :size] = weight * np.eye(size)
        return np.concatenate([np.concatenate([*blocks, inner], axis=1), below])

    start = np.concatenate([start_links.ravel()[:size], values[free_columns]])
    bounds = np.concatenate([np.full(size, -np.inf), lower])
    start = np.maximum(start, np.where(np.isfinite(bounds), 2 * bounds, -np.inf))
    found = least_squares(
        errors,
        start,
        jac=slopes,  # pyright: ignore[reportArgumentType]
        bounds=(bounds, np.inf),
        x_scale="jac",
        ftol=1e-12,
        xtol=1e-12,
        gtol=1e-15,
        max_nfev=_EVALUATIONS,
    )
    parameters, linear = unpack(found.x)
    return _with_values(system, reduced.columns, parameters, linear)


def _solid(robot: RobotModel) -> Float[np.ndarray, " links"]:
    if robot.description is None:
        return np.ones(robot.tree.links)
    return np.array([float(not link.massless) for link in robot.description.links])


def _is_fixed(kind: str, fixed: tuple[str, ...]) -> bool:
    names = {"armature": ("armature", "lagrangian"), "offset": ("offset",)}
    return any(name in fixed for name in names.get(kind, ("dissipation",)))


def _frictions(friction: AbstractDissipation) -> list[AbstractDissipation]:
    """List the parts of friction that are linear in coefficients of their own."""
    if isinstance(friction, ScaledDissipation):
        return [ScaledDissipation(x, friction.units) for x in _frictions(friction.dissipation)]
    if isinstance(friction, SumDissipation):
        return [x for part in friction.parts for x in _frictions(part)]
    return [friction] if "coefficients" in dir(type(friction)) else []


def _inner(friction: AbstractDissipation) -> Any:
    return friction.dissipation if isinstance(friction, ScaledDissipation) else friction


def _columns(system: MechanicalSystem, offset: bool) -> tuple[Column, ...]:
    robot = system.lagrangian
    assert isinstance(robot, RobotModel)
    kinds = [] if robot.armature is None else ["armature"]
    kinds += [f"friction {i}" for i in range(len(_frictions(system.dissipation)))]
    kinds += ["offset"] * offset
    return tuple(Column(kind, i) for kind in kinds for i in range(robot.tree.links))


@eqx.filter_jit
def regressor(
    system: MechanicalSystem, rows: Accelerations, offset: bool
) -> Float[Array, "rows n columns"]:
    """Compute the factor of each linear parameter in each force; the target comes last."""
    robot = system.lagrangian
    assert isinstance(robot, RobotModel)
    n = robot.tree.links
    basis = np.zeros((PER_LINK, PER_LINK))
    np.fill_diagonal(basis, 1.0)

    def of_row(row: Accelerations) -> Float[Array, "n columns"]:
        q, qd, qdd = row.state.q, row.state.qd, row.qdd

        def force(x: Float[Array, "n 10"]) -> Float[Array, " n"]:
            inertia = jnp.stack(
                [
                    jnp.stack([x[:, 4], x[:, 7], x[:, 8]], axis=1),
                    jnp.stack([x[:, 7], x[:, 5], x[:, 9]], axis=1),
                    jnp.stack([x[:, 8], x[:, 9], x[:, 6]], axis=1),
                ],
                axis=1,
            )
            return robot.link_forces(RigidBodies(x[:, 0], x[:, 1:4], inertia), q, qd, qdd)

        # The force is linear, so that its values on a basis are its derivatives.
        unit = jnp.eye(n * PER_LINK, dtype=q.dtype).reshape(-1, n, PER_LINK)
        columns = [jax.vmap(force)(unit).T]
        if robot.armature is not None:
            columns.append(jnp.diag(qdd))
        for part in _frictions(system.dissipation):
            columns.append(jnp.diag(-part(q, qd) / _inner(part).coefficients))
        if offset:
            columns.append(-jnp.eye(n, dtype=q.dtype))
        springs = robot.inverse_dynamics(q, qd, qdd) - robot.without_springs().inverse_dynamics(
            q, qd, qdd
        )
        target = system.actuation(q, row.action) - springs
        return jnp.concatenate([*columns, target[:, None]], axis=1)

    return jax.vmap(of_row)(rows)


@eqx.filter_jit
def force_errors(
    system: MechanicalSystem, rows: Accelerations, offset: Float[Array, " n"] | None
) -> Float[Array, "rows n"]:
    """Compute modelled minus recorded force of each row."""

    def of_row(row: Accelerations) -> Float[Array, " n"]:
        tau = system.inverse_dynamics(row.state.q, row.state.qd, row.qdd)
        error = tau - system.actuation(row.state.q, row.action)
        return error if offset is None else error - offset

    return jax.vmap(of_row)(rows)


def _linear_values(
    system: MechanicalSystem,
    columns: tuple[Column, ...],
    offset: Float[np.ndarray, " n"] | None,
) -> Float[np.ndarray, " k"]:
    robot = system.lagrangian
    assert isinstance(robot, RobotModel)
    parts = [] if robot.armature is None else [robot.armature]
    parts += [_inner(part).coefficients for part in _frictions(system.dissipation)]
    parts += [] if offset is None else [offset]
    values = np.concatenate([np.asarray(x, np.float64) for x in parts] or [np.zeros(0)])
    assert len(values) == len(columns)
    return values


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
    for i in range(len(_frictions(system.dissipation))):
        coefficients = named[f"friction {i}"]
        raw = coefficients + np.log(-np.expm1(-coefficients))

        system = eqx.tree_at(
            lambda x, i=i: _inner(_frictions(x.dissipation)[i]).raw,
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
    return count == 0 and len(leaves) == len(_frictions(system.dissipation))


def identified_start(
    rows: Any, part: Any, scale: Array, *, prior: float, fixed: tuple[str, ...]
) -> Any:
    """Identify a robot by its regressor where this is possible, else return it as it is.

    Least squares are weighted by the error of each joint's force (Gautier & Poignet 2001,
    Extended Kalman filtering and weighted least squares dynamic identification of robot).

    **Arguments:**

    - `rows`: training data of a loss.
    - `part`: the part of the model that the loss takes, a system of a robot with or without
        signals.
    - `scale`: scale of each force.
    - `prior`, `fixed`: as of `identify`.
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
    found_system, found = system, start
    weights = scale
    for _ in range(2):
        reduced = reduce(system, rows, weights, offset=offset is not None)
        found_system, found = identify(system, reduced, prior=prior, fixed=fixed, offset=start)
        # The second time, each force counts by the errors that the first has left.
        left = None if found is None else jnp.asarray(found, scale.dtype)
        errors = force_errors(found_system, rows, left)
        spread = jnp.sqrt(jnp.nanmean(errors**2, axis=0))
        weights = jnp.maximum(spread, _LEAST_SPREAD * scale)
    system = _with_robot(whole, found_system)
    if signals is None:
        return system
    if found is not None:
        unit = np.ones(len(found)) if signals.offset_unit is None else signals.offset_unit
        scaled = jnp.asarray(found / np.asarray(unit), signals.scaled_offset.dtype)
        signals = eqx.tree_at(lambda x: x.scaled_offset, signals, scaled)
    return SignalModel(system, signals)
