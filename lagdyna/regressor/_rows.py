"""Regressor of a robot's joint forces.

Joint forces are linear in mass, first moment and inertia of each link, in rotor inertia, in
friction of given shape and in offsets. Recordings of any length therefore reduce to one small
triangular matrix. Atkeson, An & Hollerbach (1986), Estimation of inertial parameters of
manipulator loads and links.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..learners import Accelerations
from ..mechanics import (
    AbstractDissipation,
    MechanicalSystem,
    ScaledDissipation,
    SumDissipation,
)
from ..systems import RigidBodies, RobotModel
from ._links import PER_LINK, linear_parameters

# Rows in memory at a time; fewer are padded, so that programs are compiled once.
_CHUNK = 2000


class Column(NamedTuple):
    """Linear parameter of a joint's force: `kind` such as `viscous`, and the joint's index."""

    kind: str
    joint: int


class Reduced(NamedTuple):
    """Regressor of recordings, reduced to a triangular matrix.

    The sum of squares of the scaled force errors is that of `factor @ [parameters, -1]`, with
    the weights of a learned potential energy at their best for these parameters.

    **Attributes:**

    - `factor`: shape `(k + 1, k + 1)`.
    - `columns`: of the parameters that follow `PER_LINK` numbers of each link.
    - `rows`: number of force errors.
    - `projection`: the best weights of a potential energy are `-projection @ [parameters, -1]`.
    """

    factor: Float[np.ndarray, "k1 k1"]
    columns: tuple[Column, ...]
    rows: int
    projection: Float[np.ndarray, "features k1"]

    @property
    def links(self) -> int:
        """Number of links."""
        return (self.factor.shape[1] - 1 - len(self.columns)) // PER_LINK

    @property
    def force_error(self) -> float:
        """Smallest mean squared scaled force error of any parameters."""
        return float(self.factor[-1, -1] ** 2 / self.rows)


class JointFactors(NamedTuple):
    """Regressor of each joint's force, reduced to a triangular matrix.

    **Attributes:** `factors`, of each joint, with the features of a potential energy first;
    `columns`, as of `Reduced`; `rows`, of the recordings; `features`, their number.
    """

    factors: Float[np.ndarray, "n k1 k1"]
    columns: tuple[Column, ...]
    rows: int
    features: int

    def weighted(self, scale: Any, size: float = np.inf) -> Reduced:
        """Join the joints, and eliminate the weights of a potential energy.

        **Arguments:** `scale`, by which the errors of each joint are divided, shape `(n,)`;
        `size`, standard deviation to which the weights are trusted to be 0.
        """
        scaled = self.factors / np.asarray(scale, np.float64)[:, None, None]
        some, k1 = self.features, scaled.shape[2]
        held = np.eye(some, k1) / size
        factor = triangular(np.concatenate([held, scaled.reshape(-1, k1)]))
        projection = np.zeros((0, k1 - some))
        if some:
            projection = np.linalg.lstsq(factor[:some, :some], factor[:some, some:])[0]
        count = self.rows * len(self.factors)
        return Reduced(factor[some:, some:], self.columns, count, projection)

    def errors(self, parameters: Float[np.ndarray, " k"]) -> Float[np.ndarray, " n"]:
        """Compute the root mean square force error of each joint."""
        sums = np.sum((self.factors @ np.append(parameters, -1.0)) ** 2, axis=1)
        return np.sqrt(sums / self.rows)


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
    return reduce_joints(system, rows, offset=offset)[0].weighted(scale)


def reduce_joints(
    system: MechanicalSystem, rows: Accelerations, *, offset: bool, stretches: int = 1
) -> list[JointFactors]:
    """Reduce the regressor of each joint, in equal stretches of consecutive rows.

    **Arguments:** `system`, `rows`, `offset`, as of `reduce`. Rows with missing numbers are
    left out, and stretches without any other.
    """
    columns, n = columns_of(system, offset), rows.qdd.shape[1]
    features = feature_count(system)
    length = -(-rows.qdd.shape[0] // stretches)
    size = features + PER_LINK * n + len(columns) + 1
    factors = np.zeros((stretches, n, size, size))
    counts = [0] * stretches
    for index, matrix in row_regressors(system, rows, offset):
        for i in np.unique(index // length):
            some = matrix[index // length == i]
            for joint in range(n):
                both = np.concatenate([factors[i, joint], some[:, joint]])
                factors[i, joint] = triangular(both)
            counts[i] += len(some)
    return [
        JointFactors(each, columns, count, features)
        for each, count in zip(factors, counts, strict=True)
        if count
    ]


def together(parts: Sequence[JointFactors]) -> JointFactors:
    """Join the reduced regressors of several stretches."""
    stacked = np.concatenate([each.factors for each in parts], axis=1)
    factors = np.stack([triangular(each) for each in stacked])
    rows = sum(each.rows for each in parts)
    return parts[0]._replace(factors=factors, rows=rows)


def triangular(matrix: Float[np.ndarray, "rows k1"]) -> Float[np.ndarray, "k1 k1"]:
    """Compute the triangular factor of a QR decomposition, filled with zeros."""
    size = matrix.shape[1]
    factor = np.asarray(np.linalg.qr(matrix, mode="r"))
    return np.concatenate([factor, np.zeros((size - len(factor), size))])


def row_regressors(
    system: MechanicalSystem, rows: Accelerations, offset: bool
) -> Iterator[tuple[np.ndarray, Float[np.ndarray, "rows n k1"]]]:
    """Compute the regressor of some rows at a time, in double precision.

    **Returns:** pairs of the indices of rows, those without missing numbers, and of their
    regressors as of `regressor`, after the features of a potential energy.
    """
    count = rows.qdd.shape[0]
    for start in range(0, count, _CHUNK):
        chosen = np.minimum(np.arange(start, start + _CHUNK), count - 1)
        part = jax.tree.map(lambda x, chosen=chosen: jnp.asarray(x)[chosen], rows)
        matrix = np.asarray(regressor(system, part, offset), np.float64)
        robot = system.lagrangian
        assert isinstance(robot, RobotModel)
        if robot.extra is not None:
            features = np.asarray(_of_potential(robot, part), np.float64)
            matrix = np.concatenate([features, matrix], axis=2)
        matrix = matrix[: count - start]
        finite = np.all(np.isfinite(matrix), axis=(1, 2))
        yield start + np.flatnonzero(finite), matrix[finite]


def frictions_of(friction: AbstractDissipation) -> list[AbstractDissipation]:
    """List the parts of friction that are linear in coefficients of their own."""
    if isinstance(friction, ScaledDissipation):
        return [
            ScaledDissipation(x, friction.units) for x in frictions_of(friction.dissipation)
        ]
    if isinstance(friction, SumDissipation):
        return [x for part in friction.parts for x in frictions_of(part)]
    return [friction] if "coefficients" in dir(type(friction)) else []


def inner_friction(friction: AbstractDissipation) -> Any:
    """Return the friction whose coefficients these are, without its change of units."""
    return friction.dissipation if isinstance(friction, ScaledDissipation) else friction


def columns_of(system: MechanicalSystem, offset: bool) -> tuple[Column, ...]:
    """List the linear parameters of the joints of a robot."""
    robot = system.lagrangian
    assert isinstance(robot, RobotModel)
    kinds = [] if robot.armature is None else ["armature"]
    kinds += [f"friction {i}" for i in range(len(frictions_of(system.dissipation)))]
    kinds += ["offset"] * offset
    return tuple(Column(kind, i) for kind in kinds for i in range(robot.tree.links))


def regressor(
    system: MechanicalSystem, rows: Accelerations, offset: bool
) -> Float[Array, "rows n columns"]:
    """Compute the factor of each linear parameter in each force; the target comes last."""
    robot = system.lagrangian
    assert isinstance(robot, RobotModel)
    # Of the links alone, so that other friction needs no new program.
    links = _of_links(robot, rows)
    return jnp.concatenate([links, _of_joints(system, rows, offset)], axis=2)


def feature_count(system: MechanicalSystem) -> int:
    """Count the weights of the potential energy that a robot learns."""
    robot = system.lagrangian
    assert isinstance(robot, RobotModel)
    return 0 if robot.extra is None else robot.extra.weights.shape[0]


@eqx.filter_jit
def _of_potential(robot: RobotModel, rows: Accelerations) -> Float[Array, "rows n features"]:
    assert robot.extra is not None
    slopes = jax.vmap(jax.jacfwd(robot.extra.features))(rows.state.q)
    return jnp.swapaxes(slopes, 1, 2)


@eqx.filter_jit
def _of_links(robot: RobotModel, rows: Accelerations) -> Float[Array, "rows n columns"]:
    n = robot.tree.links

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
        return jax.vmap(force)(unit).T

    return jax.vmap(of_row)(rows)


@eqx.filter_jit
def _of_joints(
    system: MechanicalSystem, rows: Accelerations, offset: bool
) -> Float[Array, "rows n columns"]:
    robot = system.lagrangian
    assert isinstance(robot, RobotModel)
    n = robot.tree.links

    def of_row(row: Accelerations) -> Float[Array, "n columns"]:
        q, qd, qdd = row.state.q, row.state.qd, row.qdd
        columns = [] if robot.armature is None else [jnp.diag(qdd)]
        others = system.dissipation(q, qd)
        for part in frictions_of(system.dissipation):
            force = part(q, qd)
            others = others - force
            columns.append(jnp.diag(-force / inner_friction(part).coefficients))
        if offset:
            columns.append(-jnp.eye(n, dtype=q.dtype))
        target = system.actuation(q, row.action) + others - robot.spring_forces(q)
        return jnp.concatenate([*columns, target[:, None]], axis=1)

    return jax.vmap(of_row)(rows)


def linear_values(
    system: MechanicalSystem,
    columns: tuple[Column, ...],
    offset: Float[np.ndarray, " n"] | None,
) -> Float[np.ndarray, " k"]:
    """Return the linear parameters of the joints of a robot, in the order of its columns."""
    robot = system.lagrangian
    assert isinstance(robot, RobotModel)
    parts = [] if robot.armature is None else [robot.armature]
    parts += [inner_friction(part).coefficients for part in frictions_of(system.dissipation)]
    parts += [] if offset is None else [offset]
    values = np.concatenate([np.asarray(x, np.float64) for x in parts] or [np.zeros(0)])
    assert len(values) == len(columns)
    return values


def parameters_of(
    system: MechanicalSystem, offset: Float[np.ndarray, " n"] | None
) -> Float[np.ndarray, " k"]:
    """Return what forces are linear in: weights of a potential energy, links, then joints."""
    robot = system.lagrangian
    assert isinstance(robot, RobotModel)
    values = linear_values(system, columns_of(system, offset is not None), offset)
    links = linear_parameters(np.asarray(robot.inertia, np.float64)) * solid(robot)[:, None]
    weights = np.zeros(0) if robot.extra is None else np.asarray(robot.extra.weights)
    return np.concatenate([weights, links.ravel(), values])


def solid(robot: RobotModel) -> Float[np.ndarray, " links"]:
    """Return 1 for each link with mass, 0 for those without."""
    if robot.description is None:
        return np.ones(robot.tree.links)
    return np.array([float(not link.massless) for link in robot.description.links])
