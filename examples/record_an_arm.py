"""Record training data of a simulated two-link arm.

Run `python examples/record_an_arm.py arm.npz`.

The file contains twenty motions from random positions under smooth random torques, with exact
accelerations. Each motion lasts two seconds, sampled at 50 Hz. Links are rods of 1 kg and 1 m.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np

from lagdyna import State
from lagdyna.data import Trajectory, TrajectorySet, write
from lagdyna.mechanics import Coordinates, FixedActuation, MechanicalSystem
from lagdyna.simulate import LagrangianField, SolvedTransition, rollout
from lagdyna.systems import PlanarChain

if len(sys.argv) != 2:
    sys.exit(__doc__)
coordinates = Coordinates((True, True))
motors = FixedActuation(((1.0, 0.0), (0.0, 1.0)))  # actions are torques in N m
arm = MechanicalSystem(PlanarChain.two_link_arm(), coordinates, motors)
transition = SolvedTransition(
    LagrangianField(arm), coordinates, dt=0.02, solver="tsit5", substeps=4
)
t = 0.02 * np.arange(100)
random = np.random.default_rng(0)


def torques() -> np.ndarray:
    """Sample a sum of three sines with random amplitudes and phases for each joint."""
    frequencies = np.asarray([0.3, 0.7, 1.5])
    heights, phases = random.normal(size=(2, 3)), random.uniform(0, 2 * np.pi, (2, 3))
    waves = np.sin(2 * np.pi * frequencies * t[:, None, None] + phases)
    return np.sum(3 * heights * waves, axis=-1)


@jax.jit
def swing(start: State, tau: jax.Array) -> tuple[State, jax.Array]:
    """Simulate the arm from `start` under the torques; return states and accelerations."""
    states = rollout(transition, start, tau[:-1])
    return states, jax.vmap(arm.forward_dynamics)(*states, tau)


trajectories = []
for _ in range(20):
    tau, q = torques(), random.uniform(-1, 1, 2)
    states, qdd = swing(State(jnp.asarray(q), jnp.zeros(2)), jnp.asarray(tau))
    q, qd, qdd = (np.asarray(x) for x in (*states, qdd))
    trajectories.append(Trajectory(t, q, qd, qdd, tau))
write(sys.argv[1], TrajectorySet(trajectories))
