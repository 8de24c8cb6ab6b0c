"""Controllers of fully actuated systems by their inverse dynamics."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._errors import UserError
from ..mechanics import MechanicalSystem
from ._action_box import ActionBox


class ComputedTorque(eqx.Module):
    """Computed torque control: the inverse dynamics of a desired, corrected acceleration.

        tau = inverse_dynamics(q, qd, qdd_d + Kp (q_d - q) + Kd (qd_d - qd))

    With a perfect model the error obeys `e'' + Kd e' + Kp e = 0`, and a damping of twice the
    root of the stiffness is critical (Siciliano et al. 2009, "Robotics", section 8.5.2).

    **Arguments:**

    - `system`: the model, such as `lagdyna.load_fit("RUN").model.system`.
    - `box`: limits of the action.
    - `stiffness`: `Kp`, one number or one for each coordinate, 1/s^2.
    - `damping`: `Kd`, likewise, 1/s; critical by default.

    **Raises:** [`lagdyna.UserError`][] if a coordinate has no actuator of its own.
    """

    system: MechanicalSystem
    box: ActionBox
    stiffness: Float[Array, " n"]
    damping: Float[Array, " n"]

    def __init__(
        self,
        system: MechanicalSystem,
        box: ActionBox,
        stiffness: float | Float[Array | np.ndarray, " n"],
        damping: float | Float[Array | np.ndarray, " n"] | None = None,
    ):
        check_fully_actuated(system, box)
        n = system.coordinates.n
        self.system = system
        self.box = box
        self.stiffness = jnp.broadcast_to(jnp.asarray(stiffness, float), (n,))
        critical = 2 * jnp.sqrt(self.stiffness)
        self.damping = (
            critical if damping is None else jnp.broadcast_to(jnp.asarray(damping, float), (n,))
        )

    def __call__(
        self,
        q: Float[Array, " n"],
        qd: Float[Array, " n"],
        desired_q: Float[Array, " n"],
        desired_qd: Float[Array, " n"] | None = None,
        desired_qdd: Float[Array, " n"] | None = None,
    ) -> Float[Array, " m"]:
        """Compute the action, within its limits.

        **Arguments:** the state `q`, `qd`; the desired coordinates, velocities and
        accelerations, the latter two 0 by default. Shapes `(n,)`.
        """
        still = jnp.zeros_like(q)
        error = self.system.coordinates.difference(desired_q, q)
        rate = (still if desired_qd is None else desired_qd) - qd
        wanted = still if desired_qdd is None else desired_qdd
        wanted = wanted + self.stiffness * error + self.damping * rate
        tau = self.system.inverse_dynamics(q, qd, wanted)
        return self.box.clip(action_of_force(self.system, self.box, q, tau))


class GravityCompensation(eqx.Module):
    """Proportional-derivative control about a configuration, with gravity compensation.

        tau = g(q) + Kp (q_d - q) - Kd qd

    It needs no mass matrix, and is stable for every positive gain (Takegaki & Arimoto 1981).

    **Arguments:**

    - `system`: the model, such as `lagdyna.load_fit("RUN").model.system`.
    - `box`: limits of the action.
    - `stiffness`: `Kp`, one number or one for each coordinate, N m/rad and N/m.
    - `damping`: `Kd`, likewise, N m s/rad and N s/m.

    **Raises:** [`lagdyna.UserError`][] if a coordinate has no actuator of its own.
    """

    system: MechanicalSystem
    box: ActionBox
    stiffness: Float[Array, " n"]
    damping: Float[Array, " n"]

    def __init__(
        self,
        system: MechanicalSystem,
        box: ActionBox,
        stiffness: float | Float[Array | np.ndarray, " n"],
        damping: float | Float[Array | np.ndarray, " n"],
    ):
        check_fully_actuated(system, box)
        n = system.coordinates.n
        self.system = system
        self.box = box
        self.stiffness = jnp.broadcast_to(jnp.asarray(stiffness, float), (n,))
        self.damping = jnp.broadcast_to(jnp.asarray(damping, float), (n,))

    def __call__(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], desired_q: Float[Array, " n"]
    ) -> Float[Array, " m"]:
        """Compute the action, within its limits.

        **Arguments:** the state `q`, `qd`, and the desired coordinates, shapes `(n,)`.
        """
        still = jnp.zeros_like(q)
        gravity = self.system.lagrangian.inverse_dynamics(q, still, still)
        error = self.system.coordinates.difference(desired_q, q)
        tau = gravity + self.stiffness * error - self.damping * qd
        return self.box.clip(action_of_force(self.system, self.box, q, tau))


def action_of_force(
    system: MechanicalSystem, box: ActionBox, q: Float[Array, " n"], tau: Float[Array, " n"]
) -> Float[Array, " m"]:
    """Compute the smallest action that causes a generalised force, without limits."""
    zero = jnp.zeros(box.size, q.dtype)
    matrix = jax.jacfwd(lambda action: system.actuation(q, action))(zero)
    rest = tau - system.actuation(q, zero)
    if box.size == matrix.shape[0]:
        return jnp.linalg.solve(matrix, rest)
    return jnp.linalg.pinv(matrix) @ rest


def check_fully_actuated(system: MechanicalSystem, box: ActionBox) -> None:
    """Raise `UserError` if actions cannot cause every generalised force."""
    n = system.coordinates.n
    zero = jnp.zeros(n)
    try:
        columns = jax.jacfwd(lambda action: system.actuation(zero, action))(jnp.zeros(box.size))
    except TypeError as error:
        raise UserError(
            f"`box` has limits of {box.size} actions, and the actuation does not accept so "
            "many; give one lower and one upper limit for each action"
        ) from error
    matrix = np.asarray(columns)
    rank = np.linalg.matrix_rank(matrix)
    if rank < n:
        idle = [f"q[{i}]" for i in range(n) if not np.any(matrix[i])]
        what = f"{', '.join(idle)} has no actuator" if idle else f"only {rank} are independent"
        raise UserError(
            f"the {box.size} actions must drive all {n} coordinates, and {what}; use a plan "
            "with a tracker, or MPC, for systems with fewer actuators"
        )
