import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree, Scalar

from ..mechanics import State
from ..tasks.suite import realaigym
from ._variation import Variation

Feedback = Callable[[Scalar, Float[Array, " 2"], Float[Array, " 2"]], Float[Array, " 2"]]

LONGEST_DELAY = 20  # steps


class AbstractController(eqx.Module):
    """Controller of a double pendulum with a memory, an internal state; JAX traces it."""

    @abc.abstractmethod
    def init(self) -> PyTree:
        """Create the initial memory of a simulation, a PyTree of arrays."""

    @abc.abstractmethod
    def control(
        self, memory: PyTree, t: Scalar, q: Float[Array, " 2"], qd: Float[Array, " 2"]
    ) -> tuple[Float[Array, " 2"], PyTree]:
        """Compute the torques of one step of 2 ms.

        **Arguments:**

        - `memory`: result of `init` or of the previous step.
        - `t`: time, s.
        - `q`: measured joint angles, 0 when upright, in `(-pi, pi]`.
        - `qd`: measured joint velocities, rad/s.

        **Returns:** torques on both joints, N m, and the next memory.
        """


class HeldController(AbstractController):
    """Zero-order hold of a feedback law: its torques are held for some steps.

    **Arguments:**

    - `feedback`: maps `(t, q, qd)` to torques on both joints, N m, traced by JAX.
    - `steps`: number of steps of 2 ms for which each output is held.

    **Raises:** `ValueError` if `steps` is not positive.
    """

    feedback: Feedback
    steps: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        if self.steps < 1:
            raise ValueError(f"`steps` must be at least 1, got {self.steps}")

    def init(self) -> PyTree:
        return jnp.zeros(2), jnp.zeros((), int)

    def control(
        self, memory: PyTree, t: Scalar, q: Float[Array, " 2"], qd: Float[Array, " 2"]
    ) -> tuple[Array, PyTree]:
        if self.steps == 1:
            return self.feedback(t, q, qd), memory
        held, count = memory
        fresh = count % self.steps == 0
        tau = jax.lax.cond(
            fresh, lambda: self.feedback(t, q, qd).astype(held.dtype), lambda: held
        )
        return tau, (tau, count + 1)


class RealAIGymTrajectory(NamedTuple):
    """Simulated trajectory, one row per step of 2 ms, in the form of `realaigym_score`.

    **Attributes:**

    - `t`: times, s.
    - `q`: joint angles, 0 when upright, not wrapped.
    - `qd`: joint velocities, rad/s.
    - `tau`: torques on both joints from this row to the next, N m.
    """

    t: Float[np.ndarray, " time"]
    q: Float[np.ndarray, "time 2"]
    qd: Float[np.ndarray, "time 2"]
    tau: Float[np.ndarray, "time 2"]


def realaigym_trajectory(
    robot: realaigym.Robot | str,
    controller: AbstractController | Feedback,
    *,
    variation: Variation | None = None,
    seed: int = 0,
    steps: int = realaigym.STEPS,
) -> RealAIGymTrajectory:
    """Simulate RealAIGym's double pendulum under a controller, from hanging at rest.

    Each step of 2 ms is one step of the classic Runge-Kutta method in float64, with the torques
    held. Torques are clipped at 6 N m on the driven joint and at 0 on the other.

    **Arguments:**

    - `robot`: `"acrobot"`, with a motor at the second joint, or `"pendubot"`, at the first.
    - `controller`: maps `(t, q, qd)` to torques on both joints, N m, or has a memory; see
        [`lagdyna.scores.AbstractController`][]. JAX traces it.
    - `variation`: changed parameters and disturbances; by default the nominal robot.
    - `seed`: seed of the noise of the variation.
    - `steps`: number of steps; 10 s by default.

    **Raises:** `ValueError` if the robot is unknown, if `steps` is not positive, or if the
    controller returns torques of another shape.
    """
    realaigym.check_robot(robot)
    if steps < 1:
        raise ValueError(f"`steps` must be at least 1, got {steps}")
    with jax.enable_x64(True):
        controlled = as_controller(controller)
        given = jax.tree.map(lambda x: jnp.asarray(np.asarray(x)), variation or Variation())
        _, rows = _rollout(robot, controlled, given, jax.random.key(seed), steps)
        (q, qd), tau = jax.tree.map(np.asarray, rows)
    return RealAIGymTrajectory(realaigym.DT * np.arange(steps), q, qd, tau)


def as_controller(controller: AbstractController | Feedback) -> AbstractController:
    """Convert to a controller with a memory, and check the shape of its torques.

    **Raises:** `ValueError` if the torques have another shape than `(2,)`.
    """
    given = (
        controller if isinstance(controller, AbstractController) else HeldController(controller)
    )
    double = jnp.zeros(2)
    tau, _ = eqx.filter_eval_shape(
        lambda c: c.control(c.init(), jnp.zeros(()), double, double), given
    )
    if getattr(tau, "shape", None) != (2,):
        raise ValueError(
            f"`controller` returned {getattr(tau, 'shape', tau)}; an array of shape (2,), "
            "torques on both joints, is accepted"
        )
    return given


def final_state(
    robot: str,
    controller: AbstractController,
    variation: Variation,
    key: Key[Array, ""],
    steps: int,
) -> State:
    """Compute the last state of a simulation."""
    return _simulate(robot, controller, variation, key, steps, False)[0]


@eqx.filter_jit
def _rollout(
    robot: str,
    controller: AbstractController,
    variation: Variation,
    key: Key[Array, ""],
    steps: int,
) -> tuple[State, Any]:
    return _simulate(robot, controller, variation, key, steps, True)


def _simulate(
    robot: str,
    controller: AbstractController,
    variation: Variation,
    key: Key[Array, ""],
    steps: int,
    record: bool,
) -> tuple[State, Any]:
    """Simulate from hanging at rest: in each step measure, control, actuate, integrate."""
    driven = jnp.arange(2) == realaigym.DRIVEN[robot]
    limit = jnp.where(driven, realaigym.TORQUE, 0.0)
    hanging = State(jnp.asarray([-jnp.pi, 0.0]), jnp.zeros(2))
    size = LONGEST_DELAY + 1
    history = jax.tree.map(lambda x: jnp.tile(x, (size, 1)), hanging)

    def body(carry: Any, step: Int[Array, ""]) -> tuple[Any, Any]:
        state, applied, memory, history = carry
        history = jax.tree.map(lambda h, x: h.at[step % size].set(x), history, state)
        # The initial state is the oldest measurement.
        measured = jnp.maximum(step - variation.delay, 0) % size
        q, qd = jax.tree.map(lambda h: h[measured], history)
        noise = jax.random.normal(jax.random.fold_in(key, step), (2, 2))
        qd = qd + variation.speed_noise * noise[0]
        t = realaigym.DT * step
        wrapped = jnp.pi - jnp.mod(jnp.pi - q, 2 * jnp.pi)
        tau, memory = controller.control(memory, t, wrapped, qd)
        tau = applied + variation.response * (tau - applied)
        tau = jnp.clip(tau + variation.torque_noise * noise[1], -limit, limit)
        tau = tau + jnp.where(driven, variation.push(t), 0.0)
        following = _runge_kutta_step(variation, state, tau)
        return (following, tau, memory, history), (state, tau) if record else None

    start = (hanging, jnp.zeros(2), controller.init(), history)
    (last, *_), rows = jax.lax.scan(body, start, jnp.arange(steps))
    return last, rows


def _runge_kutta_step(variation: Variation, state: State, tau: Float[Array, " 2"]) -> State:
    """Integrate 2 ms by the classic Runge-Kutta method."""

    def at(slope: State, h: float) -> State:
        moved = jax.tree.map(lambda x, k: x + h * k, state, slope)
        return variation.slope(moved, tau)

    h = realaigym.DT
    k1 = variation.slope(state, tau)
    k2 = at(k1, h / 2)
    k3 = at(k2, h / 2)
    k4 = at(k3, h)
    return jax.tree.map(
        lambda x, a, b, c, d: x + h * (a + 2 * (b + c) + d) / 6, state, k1, k2, k3, k4
    )
