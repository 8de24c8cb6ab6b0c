"""Controller that follows a plan of the leaderboard, holds the top, and tries again."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from _leaderboard_plan import BOX, CHANGES, model_step
from jaxtyping import Array, Bool, Float, PRNGKeyArray, Scalar

from lagdyna.control import (
    LQR,
    IncrementalTransition,
    Plan,
    Tracker,
    TrackerMemory,
    find_equilibrium,
    region_of_attraction,
)
from lagdyna.mechanics import MechanicalSystem, State
from lagdyna.scores import AbstractController
from lagdyna.tasks.suite import realaigym

LOST = 0.2  # height of the tip below which the regulator has lost the top, m
NEAR = (0.15, 0.8)  # rad and rad/s from hanging at rest: there the plan begins again


class Weights(NamedTuple):
    """Weights of the regulators: of angles, torque, velocities, and changes of the torque."""

    angle: float = 1.0
    torque: float = 0.1
    velocity: float = 0.05
    change: float = 1000.0
    brake: float = 0.3  # N m s/rad
    surprise: float = 0.1  # standard deviation of a step's unmodelled change of velocity, rad/s
    angle_noise: float = 1e-5  # of measurements, rad; the leaderboard adds none
    velocity_noise: float = 0.5  # rad/s
    lead: int = 0  # steps that the measurement is predicted ahead

    @property
    def state(self) -> tuple[float, ...]:
        return (*[self.angle] * 2, self.torque, *[self.velocity] * 2, 1e-6)


class Memory(NamedTuple):
    """Memory of the controller: of its tracker, the last action, the estimated state, whether
    it brakes."""

    tracker: TrackerMemory
    action: Float[Array, " 1"]
    estimate: State
    braking: Bool[Array, ""]


class PlanController(AbstractController):
    """Tracks a plan, holds the top, and begins again from hanging if it falls.

    After a fall the motor damps its joint until the pendulum nearly rests.
    """

    tracker: Tracker
    transition: IncrementalTransition
    brake: float
    observer: Float[Array, "2 2"]
    joint: int = eqx.field(static=True)
    lead: int = eqx.field(static=True)

    def init(self) -> Memory:
        rest = State(jnp.asarray([-jnp.pi, 0.0]), jnp.zeros(2))
        return Memory(self._begin(), jnp.zeros(1), rest, jnp.zeros((), bool))

    def control(
        self, memory: Memory, t: Scalar, q: Float[Array, " 2"], qd: Float[Array, " 2"]
    ) -> tuple[Float[Array, " 2"], Memory]:
        model = self.transition.transition
        estimate = self._corrected(memory.estimate, State(q, qd))
        state = estimate
        for _ in range(self.lead):
            state = model.step(state, memory.action)
        q, qd = state
        height = jnp.asarray(realaigym.LENGTH) @ jnp.cos(jnp.cumsum(q))
        hanging = jnp.abs(jnp.asarray([jnp.pi - jnp.abs(q[0]), q[1]]))
        rests = jnp.all(hanging < NEAR[0]) & jnp.all(jnp.abs(qd) < NEAR[1])
        braking = jnp.where(memory.braking, ~rests, memory.tracker.caught & (height < LOST))
        tracked = jax.tree.map(
            lambda old, new: jnp.where(memory.braking & ~braking, new, old),
            memory.tracker,
            self._begin(),
        )
        change, tracked = self.tracker.control(
            tracked, self.transition.join(state, memory.action)
        )
        brake = -self.brake / realaigym.TORQUE * qd[self.joint, None]
        action = BOX.clip(jnp.where(braking, brake, memory.action + change))
        tau = realaigym.TORQUE * action * (jnp.arange(2) == self.joint)
        # The prediction of the next measurement.
        after = model.step(estimate, action)
        return tau, Memory(tracked, action, after, braking)

    def _corrected(self, predicted: State, measured: State) -> State:
        """Correct a prediction by a measurement."""
        coordinates = self.transition.transition.coordinates
        errors = jnp.stack(
            [coordinates.difference(measured.q, predicted.q), measured.qd - predicted.qd]
        )
        dq, dqd = self.observer @ errors
        return State(coordinates.wrap(predicted.q + dq), predicted.qd + dqd)

    def _begin(self) -> TrackerMemory:
        return TrackerMemory(jnp.zeros((), jnp.int32), jnp.zeros((), bool))


def controller_of(
    system: MechanicalSystem,
    robot: str,
    plan: Plan,
    weights: Weights,
    key: PRNGKeyArray,
) -> PlanController:
    """Design regulator and tracker with a model, and find the regulator's region in it."""
    transition = model_step(system, realaigym.DT)
    upright = find_equilibrium(transition.transition, [0.0, 0.0], BOX)
    lqr = LQR.design(
        transition,
        transition.equilibrium(upright),
        CHANGES,
        state_weights=weights.state,
        action_weights=weights.change,
    )
    region = region_of_attraction(transition, lqr, key=key, samples=64)
    tracker = Tracker.design(
        transition,
        plan,
        CHANGES,
        goal=lqr,
        region=region,
        state_weights=weights.state,
        action_weights=weights.change,
    )
    return PlanController(
        tracker,
        transition,
        weights.brake,
        observer_gain(weights),
        realaigym.DRIVEN[robot],
        weights.lead,
    )


def observer_gain(weights: Weights) -> Float[Array, "2 2"]:
    """Compute the steady gain of a Kalman filter of an angle and its velocity."""
    motion = np.asarray([[1.0, realaigym.DT], [0.0, 1.0]])
    noise = np.diag([weights.angle_noise, weights.velocity_noise]) ** 2
    pushed = np.asarray([realaigym.DT / 2, 1.0]) * weights.surprise
    # The filter is the dual of a regulator.
    before = scipy.linalg.solve_discrete_are(
        motion.T, np.eye(2), np.outer(pushed, pushed) + 1e-14 * np.eye(2), noise
    )
    return jnp.asarray(before @ np.linalg.inv(before + noise))
