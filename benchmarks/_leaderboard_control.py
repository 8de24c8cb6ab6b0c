"""Controller that follows a plan of the leaderboard, holds the top, and tries again."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
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
    change: float = 100.0
    brake: float = 0.3  # N m s/rad

    @property
    def state(self) -> tuple[float, ...]:
        return (*[self.angle] * 2, self.torque, *[self.velocity] * 2, 1e-6)


class Memory(NamedTuple):
    """Memory of the controller: of its tracker, the last action, whether it brakes."""

    tracker: TrackerMemory
    action: Float[Array, " 1"]
    braking: Bool[Array, ""]


class PlanController(AbstractController):
    """Tracks a plan, holds the top, and begins again from hanging if it falls.

    After a fall the motor damps its joint until the pendulum nearly rests.
    """

    tracker: Tracker
    transition: IncrementalTransition
    brake: float
    joint: int = eqx.field(static=True)

    def init(self) -> Memory:
        return Memory(self._begin(), jnp.zeros(1), jnp.zeros((), bool))

    def control(
        self, memory: Memory, t: Scalar, q: Float[Array, " 2"], qd: Float[Array, " 2"]
    ) -> tuple[Float[Array, " 2"], Memory]:
        state = State(q, qd)
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
        return tau, Memory(tracked, action, braking)

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
    return PlanController(tracker, transition, weights.brake, realaigym.DRIVEN[robot])
