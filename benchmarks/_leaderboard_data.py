"""Interaction with RealAIGym's simulator, and models that are learned from it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, Scalar

from lagdyna.data import Experience
from lagdyna.learners import (
    AbstractSquaredLoss,
    LevenbergMarquardtLearner,
    OneStepLoss,
    fit,
    partition,
    step_scale,
)
from lagdyna.mechanics import Coordinates, FixedActuation, MechanicalSystem, State
from lagdyna.models import DeLaN
from lagdyna.scores import RealAIGymTrajectory, realaigym_trajectory
from lagdyna.simulate import LagrangianField, SolvedTransition
from lagdyna.tasks.suite import realaigym

STRIDE = 15  # one of so many steps is a row of the data
DAMPING = 0.1  # N m s/rad
HIDDEN = (16, 16)


class Waves(eqx.Module):
    """Torque that is a sum of sines, less a damping that keeps velocities low."""

    size: Float[Array, " waves"]
    frequency: Float[Array, " waves"]
    phase: Float[Array, " waves"]
    joint: int = eqx.field(static=True)

    def __call__(
        self, t: Scalar, q: Float[Array, " 2"], qd: Float[Array, " 2"]
    ) -> Float[Array, " 2"]:
        torque = self.size @ jnp.sin(2 * jnp.pi * self.frequency * t + self.phase)
        torque -= DAMPING * qd[self.joint]
        return torque * (jnp.arange(2) == self.joint)


def explore(robot: str, seed: int, episode: int, seconds: float) -> RealAIGymTrajectory:
    """Simulate an episode under random sines, from hanging at rest."""
    random = np.random.default_rng((seed, episode))
    size = random.uniform(0.2, 1.0, 5) * random.uniform(0.7, 2.5)  # N m
    waves = Waves(
        jnp.asarray(size),
        jnp.asarray(random.uniform(0.2, 3.0, 5)),
        jnp.asarray(random.uniform(0, 2 * np.pi, 5)),
        realaigym.DRIVEN[robot],
    )
    steps = round(seconds / realaigym.DT)
    return realaigym_trajectory(robot, waves, steps=steps)


def rows_of(robot: str, trajectory: RealAIGymTrajectory) -> Experience:
    """Select single steps of a trajectory."""
    before = np.arange(0, len(trajectory.t) - 1, STRIDE)
    q, qd = jnp.asarray(trajectory.q), jnp.asarray(trajectory.qd)
    tau = jnp.asarray(trajectory.tau[before, realaigym.DRIVEN[robot], None])
    return Experience(
        State(q[before], qd[before]),
        tau / realaigym.TORQUE,
        jnp.zeros(len(before)),
        State(q[before + 1], qd[before + 1]),
        jnp.zeros(len(before), bool),
    )


def joined(parts: list[Experience]) -> Experience:
    """Concatenate the rows of several episodes."""
    return jax.tree.map(lambda *x: jnp.concatenate(x), *parts)


def first_model(robot: str, key: PRNGKeyArray) -> MechanicalSystem:
    """Build a DeLaN before it has seen data; its driven joint and torque limit are known."""
    driven = realaigym.DRIVEN[robot]
    force = tuple((realaigym.TORQUE if i == driven else 0.0,) for i in range(2))
    coordinates = Coordinates((True, True), chain=True)
    body = DeLaN(coordinates, hidden=HIDDEN, initial_mass=0.05, key=key)
    return MechanicalSystem(body, coordinates, FixedActuation(force))


class FieldLoss(AbstractSquaredLoss[PyTree, Experience]):
    """One-step loss of a mechanical system whose free part is learned.

    **Arguments:** `scale`, of the errors; `frozen`, the part that is not learned.
    """

    scale: State
    frozen: PyTree

    def __call__(self, model: PyTree, batch: Experience) -> Scalar:
        errors = jax.vmap(self.errors, (None, 0))(model, batch)
        return jnp.mean(jnp.sum(errors**2, axis=-1))

    def errors(self, model: PyTree, row: Experience) -> Float[Array, " k"]:
        system = eqx.combine(model, self.frozen)
        transition = SolvedTransition(
            LagrangianField(system), system.coordinates, realaigym.DT, solver="bosh3"
        )
        return OneStepLoss(self.scale).errors(transition, row)


@eqx.filter_jit
def learned_model(
    system: MechanicalSystem, rows: Experience, updates: int
) -> tuple[MechanicalSystem, Float[Array, ""]]:
    """Fit a model to rows by Levenberg-Marquardt steps on the one-step loss.

    **Returns:** the model, and the loss before the last step.
    """
    free, frozen = partition(system)
    loss = FieldLoss(step_scale(rows, system.coordinates), frozen)
    learner = LevenbergMarquardtLearner(loss)
    fitted = fit(free, learner, rows, key=jax.random.key(0), steps=updates, batch_size=None)
    return eqx.combine(fitted.model, frozen), fitted.metrics["loss"][-1]
