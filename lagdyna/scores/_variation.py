from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Scalar

from ..mechanics import State
from ..tasks.suite import realaigym

PUSHES = 3  # pushes of the driven joint in one simulation


class Variation(NamedTuple):
    """Parameters and disturbances of a simulated double pendulum of RealAIGym.

    The defaults are the nominal values, without disturbances.

    **Attributes:**

    - `inertia`: of each link about its joint, kg m^2.
    - `mass`: of the outer link, kg.
    - `moment`: mass of each link times the distance of its centre from its joint, kg m.
    - `rotor`: inertia of the rotor of each motor, behind a gear with ratio 6, kg m^2.
    - `viscous`: coefficient of viscous friction of each joint, N m s.
    - `coulomb`: coefficient `c` of dry friction of each joint, `-c arctan(100 qd)`, N m.
    - `speed_noise`: standard deviation of each measured speed, rad/s.
    - `torque_noise`: standard deviation of the motor's torque, N m.
    - `response`: fraction of a change of torque that the motor makes in one step.
    - `delay`: delay of measured states in steps of 2 ms, at most 20.
    - `push_time`, `push_width`, `push_torque`: mean (s), standard deviation (s) and peak torque
        (N m) of Gaussian pushes on the driven joint.
    """

    inertia: Float[Array | np.ndarray, " 2"] = np.array(realaigym.INERTIA)
    mass: Float[Array | np.ndarray, ""] = np.array(realaigym.MASS[1])
    moment: Float[Array | np.ndarray, " 2"] = np.multiply(realaigym.MASS, realaigym.CENTRE)
    rotor: Float[Array | np.ndarray, ""] = np.array(0.0)
    viscous: Float[Array | np.ndarray, " 2"] = np.zeros(2)
    coulomb: Float[Array | np.ndarray, " 2"] = np.zeros(2)
    speed_noise: Float[Array | np.ndarray, ""] = np.array(0.0)
    torque_noise: Float[Array | np.ndarray, ""] = np.array(0.0)
    response: Float[Array | np.ndarray, ""] = np.array(1.0)
    delay: Int[Array | np.ndarray, ""] = np.array(0)
    push_time: Float[Array | np.ndarray, " 3"] = np.zeros(PUSHES)
    push_width: Float[Array | np.ndarray, " 3"] = np.ones(PUSHES)
    push_torque: Float[Array | np.ndarray, " 3"] = np.zeros(PUSHES)

    def push(self, t: Scalar) -> Scalar:
        """Compute the torque of all pushes at a time, N m."""
        distance = (t - self.push_time) / self.push_width
        return jnp.sum(self.push_torque * jnp.exp(-(distance**2) / 2))

    def slope(self, state: State, tau: Float[Array, " 2"]) -> State:
        """Compute velocities and accelerations under torques on both joints.

        The inertias are about the joints, so the moments only change gravity and the coupling
        of the links. Each rotor is mounted on the link before its joint.
        """
        q, qd = state
        length, ratio = realaigym.LENGTH[0], realaigym.GEAR_RATIO
        couple = self.moment[1] * length
        m01 = self.inertia[1] + couple * jnp.cos(q[1]) - ratio * self.rotor
        m11 = self.inertia[1] + ratio**2 * self.rotor
        m00 = (
            self.inertia[0]
            + self.inertia[1]
            + self.mass * length**2
            + 2 * couple * jnp.cos(q[1])
            + (ratio**2 + 1) * self.rotor
        )
        turning = couple * jnp.sin(q[1])
        outer = self.moment[1] * jnp.sin(q[0] + q[1])
        inner = (self.moment[0] + self.mass * length) * jnp.sin(q[0])
        friction = self.viscous * qd + self.coulomb * jnp.arctan(100 * qd)
        bias = jnp.stack(
            [-turning * (2 * qd[0] + qd[1]) * qd[1], turning * qd[0] ** 2],
        )
        gravity = realaigym.GRAVITY * jnp.stack([inner + outer, outer])
        force = tau + gravity - bias - friction
        qdd = jnp.stack([m11 * force[0] - m01 * force[1], m00 * force[1] - m01 * force[0]])
        return State(qd, qdd / (m00 * m11 - m01**2))
