"""Interaction with RealAIGym's simulator, and models that are learned from it."""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Scalar

from lagdyna.data import Experience
from lagdyna.learners import LevenbergMarquardtLearner, OneStepLoss, fit
from lagdyna.mechanics import Coordinates, FixedActuation, MechanicalSystem, State
from lagdyna.models import DeLaN
from lagdyna.scores import RealAIGymTrajectory, realaigym_trajectory
from lagdyna.simulate import LagrangianField, SolvedTransition
from lagdyna.systems import PlanarChain
from lagdyna.tasks.suite import realaigym

Model = Literal["delan", "known", "true"]
HOLD = 5  # steps of the simulator in one row of the data
HIDDEN = (16, 16)


class Waves(eqx.Module):
    """Torque that is a sum of sines, clipped, held for some steps."""

    size: Float[Array, " waves"]
    frequency: Float[Array, " waves"]
    phase: Float[Array, " waves"]
    joint: int = eqx.field(static=True)

    def __call__(
        self, t: Scalar, q: Float[Array, " 2"], qd: Float[Array, " 2"]
    ) -> Float[Array, " 2"]:
        held = HOLD * realaigym.DT
        t = held * jnp.floor(t / held + 0.5 / HOLD)
        torque = self.size @ jnp.sin(2 * jnp.pi * self.frequency * t + self.phase)
        return torque * (jnp.arange(2) == self.joint)


def explore(robot: str, seed: int, episode: int, seconds: float) -> RealAIGymTrajectory:
    """Simulate an episode under random sines, from hanging at rest."""
    random = np.random.default_rng((seed, episode))
    size = random.uniform(0.3, 1.0, 5) * realaigym.TORQUE * random.uniform(0.15, 0.6)
    waves = Waves(
        jnp.asarray(size),
        jnp.asarray(random.uniform(0.2, 3.0, 5)),
        jnp.asarray(random.uniform(0, 2 * np.pi, 5)),
        realaigym.DRIVEN[robot],
    )
    return realaigym_trajectory(robot, waves, steps=round(seconds / realaigym.DT))
