"""Recordings of a pendulum, and configs of small fits to them."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna import FitConfig, State
from lagdyna.config import DataConfig
from lagdyna.data import Trajectory, TrajectorySet
from lagdyna.mechanics import Coordinates, FixedActuation, MechanicalSystem
from lagdyna.parts import AdamConfig, DeLaNConfig
from lagdyna.progress import Silence
from lagdyna.runs import fit_model
from lagdyna.simulate import LagrangianField, SolvedTransition, rollout
from lagdyna.systems import Pendulum

ANGLE = Coordinates((True,))
SMALL = DeLaNConfig(hidden=(8,))
SHORT = AdamConfig(updates=4, batch=16)

# A user's file of known equations; the mass is wrong.
SYSTEM = """
import jax.numpy as jnp
from lagdyna.mechanics import Coordinates, FixedActuation, MechanicalSystem
from lagdyna.systems import Pendulum

lagrangian = Pendulum.rod(mass=1.6)
system = MechanicalSystem(lagrangian, Coordinates((True,)), FixedActuation(((1.0,),)))
two_motors = MechanicalSystem(lagrangian, Coordinates((True,)), FixedActuation(((1.0, 2.0),)))

def kinematics(state, action, next_state):
    step = system.coordinates.difference(next_state.q, state.q)
    return step / 0.05 - 0.5 * (state.qd + next_state.qd)

def fails(state, action, next_state):
    raise RuntimeError("not today")
"""


def pendulum() -> TrajectorySet:
    """Record a pendulum under a torque, with forces and accelerations."""
    system = MechanicalSystem(Pendulum.rod(), ANGLE, FixedActuation(((1.0,),)))
    transition = SolvedTransition(LagrangianField(system), ANGLE, 0.05, solver="tsit5")
    t = 0.05 * np.arange(41)
    rng = np.random.default_rng(0)

    @jax.jit
    def move(start: State, tau: jax.Array) -> tuple[State, jax.Array]:
        states = rollout(transition, start, tau[:-1])
        return states, jax.vmap(system.forward_dynamics)(*states, tau)

    trajectories = []
    for _ in range(6):
        tau = 2 * np.sin(t * rng.uniform(1, 4) + rng.uniform(0, 6))[:, None]
        start = State(jnp.asarray(rng.uniform(-3, 3, 1)), jnp.asarray(rng.uniform(-3, 3, 1)))
        states, qdd = move(start, jnp.asarray(tau))
        q = np.unwrap(np.asarray(states.q, np.float64), axis=0)
        trajectories.append(Trajectory(t, q, np.asarray(states.qd), np.asarray(qdd), tau))
    return TrajectorySet(trajectories)


def small(file: Path, *, data: dict[str, Any] | None = None, **parts: Any) -> FitConfig:
    """Create the config of a fit of a few updates; other parts replace the small ones."""
    recordings = DataConfig(file=str(file), **{"angles": "all", **(data or {})})
    return FitConfig(data=recordings, **{"model": SMALL, "learner": SHORT, **parts})


class AllUpdatesDone(Exception):
    """Ends a fit before its report."""


def fit_without_report(config: FitConfig, out: Path, **objects: Any) -> None:
    """Fit a model as far as its weights: programs of the report take longer than the fit."""

    class StopBeforeReport(Silence):
        def record(self, record: dict[str, Any]) -> None:
            if record["updates"] == config.learner.updates or record.get("converged"):
                raise AllUpdatesDone

    with pytest.raises(AllUpdatesDone):
        fit_model(config, out, progress=StopBeforeReport(), **objects)
