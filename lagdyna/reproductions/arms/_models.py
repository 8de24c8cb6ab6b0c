"""Models of an arm's torques and accelerations behind one interface."""

import abc
import time
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Scalar

from ...identification import FitProblem
from ...learners import (
    AbstractLoss,
    Accelerations,
    SignalRows,
    root_mean_square,
)
from ...mechanics import Coordinates, MechanicalSystem, State
from ...models import Network, softplus
from ...regressor import reduce, regressor
from ...simulate import LearnedModel
from ...systems import RigidBodies, RobotModel
from .._learning import adam
from .._reproduction import PartProgress

# Directions of the regressor that move torques by less than this part of the most are left
# out; its numbers are in single precision.
_CUTOFF = 1e-5


class AbstractArmModel(eqx.Module):
    """Model of what drives an arm.

    **Attributes:** (of the class) `moves`, whether it gives accelerations and a mass matrix.
    """

    moves: ClassVar[bool] = True

    @abc.abstractmethod
    def torque(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], qdd: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        """Compute the torques that the motion needs."""

    def acceleration(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], tau: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        """Compute the acceleration under torques."""
        raise NotImplementedError

    def mass_matrix(self, q: Float[Array, " n"]) -> Float[Array, "n n"]:
        """Compute the mass matrix."""
        raise NotImplementedError


class TrueModel(AbstractArmModel):
    """Robot that was simulated: what is left is the error of the arithmetic."""

    robot: RobotModel

    def torque(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], qdd: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        return self.robot.inverse_dynamics(q, qd, qdd)

    def acceleration(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], tau: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        return self.robot.forward_dynamics(q, qd, tau)

    def mass_matrix(self, q: Float[Array, " n"]) -> Float[Array, "n n"]:
        return self.robot.mass_matrix(q, jnp.zeros_like(q))


class SystemModel(AbstractArmModel):
    """Equations of motion with friction."""

    system: MechanicalSystem

    def torque(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], qdd: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        return self.system.inverse_dynamics(q, qd, qdd)

    def acceleration(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], tau: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        return self.system.forward_dynamics(q, qd, tau)

    def mass_matrix(self, q: Float[Array, " n"]) -> Float[Array, "n n"]:
        return self.system.lagrangian.mass_matrix(q, jnp.zeros_like(q))


class FittedModel(AbstractArmModel):
    """Model of a fit, with the offsets of its torque sensors."""

    model: LearnedModel

    def torque(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], qdd: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        tau = self.model.inverse_dynamics(q, qd, qdd)
        signals = self.model.signals
        return tau if signals is None or signals.offset is None else tau - signals.offset

    def acceleration(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], tau: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        return self.model.forward_dynamics(q, qd, tau)

    def mass_matrix(self, q: Float[Array, " n"]) -> Float[Array, "n n"]:
        return self.model.mass_matrix(q, jnp.zeros_like(q))


class LinearModel(AbstractArmModel):
    """Regressor of a robot with parameters that need not be physically consistent.

    **Arguments:** `system`, the robot with its friction; `parameters`, ten numbers of each
    link, then those of the joints; `offset`, whether these include torque offsets.
    """

    system: MechanicalSystem
    parameters: Float[Array, " k"]
    offset: bool = eqx.field(static=True)

    @property
    def _robot(self) -> RobotModel:
        assert isinstance(self.system.lagrangian, RobotModel)
        return self.system.lagrangian

    def torque(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], qdd: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        row = Accelerations(State(q[None], qd[None]), jnp.zeros_like(q)[None], qdd[None])
        matrix = regressor(self.system, row, self.offset)[0]
        return matrix[:, :-1] @ self.parameters - matrix[:, -1]

    def acceleration(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], tau: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        rest = self.torque(q, qd, jnp.zeros_like(q))
        return jnp.linalg.solve(self.mass_matrix(q), tau - rest)

    def mass_matrix(self, q: Float[Array, " n"]) -> Float[Array, "n n"]:
        robot, n = self._robot, len(q)
        links = self.parameters[: 10 * n].reshape(n, 10)
        i = jnp.asarray([[4, 7, 8], [7, 5, 9], [8, 9, 6]])
        bodies, still = RigidBodies(links[:, 0], links[:, 1:4], links[:, i]), jnp.zeros_like(q)

        def force(qdd: Float[Array, " n"]) -> Float[Array, " n"]:
            return robot.link_forces(bodies, q, still, qdd)

        mass = jax.vmap(force)(jnp.eye(n, dtype=q.dtype)).T - force(still)[:, None]
        if robot.armature is None:
            return mass
        return mass + jnp.diag(self.parameters[10 * n : 11 * n])


def least_squares(problem: FitProblem) -> LinearModel:
    """Find the parameters of least torque error, physically consistent or not.

    **Arguments:** `problem`, the fit of a robot.
    """
    rows, system = problem.training, problem.plant.known
    assert system is not None
    offset = isinstance(rows, SignalRows)
    rows = rows.rows if isinstance(rows, SignalRows) else rows
    reduced = reduce(system, rows, root_mean_square(rows.action), offset=offset)
    matrix, target = reduced.factor[:, :-1], reduced.factor[:, -1]
    unit = np.linalg.norm(matrix, axis=0)
    unit = np.where(unit > _CUTOFF * unit.max(), unit, unit.max())
    found = np.linalg.lstsq(matrix / unit, target, rcond=_CUTOFF)[0] / unit
    return LinearModel(system, jnp.asarray(found, rows.qdd.dtype), offset)


class TorqueNetwork(AbstractArmModel):
    """Network from `(q, qd, qdd)` to torques, without mechanics.

    **Arguments:** `scale`, of velocities, accelerations and torques, shape `(3, n)`, not
    learned; `key`, for the initial weights.
    """

    network: Network
    scale: tuple[tuple[float, ...], ...] = eqx.field(static=True)

    moves: ClassVar[bool] = False

    def __init__(self, scale: tuple[tuple[float, ...], ...], *, key: PRNGKeyArray):
        n = len(scale[0])
        self.network = Network(4 * n, n, (128, 128), softplus, output_scale=0.1, key=key)
        self.scale = scale

    def torque(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], qdd: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        scale = jnp.asarray(self.scale, q.dtype)
        angles = Coordinates((True,) * len(q)).embed(q)
        inputs = [angles, qd / scale[0], qdd / scale[1]]
        return scale[2] * self.network(jnp.concatenate(inputs))


class _TorqueLoss(AbstractLoss[TorqueNetwork, Accelerations]):
    """Mean squared torque error over the torques' mean square."""

    scale: Float[Array, " n"]

    def __call__(self, model: TorqueNetwork, batch: Accelerations) -> Scalar:
        tau = jax.vmap(model.torque)(batch.state.q, batch.state.qd, batch.qdd)
        return jnp.mean(((tau - batch.action) / self.scale) ** 2)


def torque_network(
    rows: Accelerations, updates: int, seed: int, progress: PartProgress
) -> tuple[TorqueNetwork, float]:
    """Fit a network from motions to torques by Adam.

    **Arguments:** `updates`, a multiple of 20.

    **Returns:** the network, and seconds with compilation.
    """
    start = time.perf_counter()
    keys = jax.random.split(jax.random.key(seed))
    sizes = [root_mean_square(x) for x in (rows.state.qd, rows.qdd, rows.action)]
    scale = tuple(tuple(np.asarray(x, np.float64).tolist()) for x in sizes)
    untrained = TorqueNetwork(scale, key=keys[0])
    loss = _TorqueLoss(sizes[-1])
    fitted = adam(untrained, loss, rows, updates, 3e-3, progress, key=keys[1])
    return fitted, time.perf_counter() - start
