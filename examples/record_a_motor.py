"""Record a rod on a motor as its drive reports it: motor currents and rounded positions.

The motor gives 0.8 N m/A. A current acts 4 ms after its command, behind a lag of 12 ms. The
encoder counts 4,096 steps a turn, and its zero is 0.05 rad off. The file has no velocities.

Run `python examples/record_a_motor.py`. It writes motor.npz.

`rod` is what is known of it, for `lagdyna fit motor.npz --model known`: the rod was weighed,
and the guess of its length is wrong.
"""

import jax
import jax.numpy as jnp
import numpy as np

from lagdyna.data import Trajectory, TrajectorySet, write
from lagdyna.mechanics import (
    Coordinates,
    FixedActuation,
    MechanicalSystem,
    Signals,
    State,
    ViscousDissipation,
)
from lagdyna.simulate import LagrangianField, SolvedTransition, rollout
from lagdyna.systems import Pendulum

ANGLE = Coordinates((True,))


def system(length: float, friction: float) -> MechanicalSystem:
    """Create a rod of 1.2 kg."""
    rod = Pendulum.rod(mass=1.2, length=length, gravity=9.81)
    viscous = ViscousDissipation(jnp.asarray([friction]))
    return MechanicalSystem(rod, ANGLE, FixedActuation(((1.0,),)), viscous)


rod = system(length=0.7, friction=0.01)


def main() -> None:
    """Simulate the rod in steps of 1 ms, and write every fifth row."""
    signals = Signals(0.001, gain=(0.8,), delay=0.004, lag=0.012)
    field = LagrangianField(system(length=0.5, friction=0.05))
    transition = SolvedTransition(field, ANGLE, 0.001, solver="midpoint")
    move = jax.jit(lambda start, torque: rollout(transition, start, torque))
    rng = np.random.default_rng(0)
    t = 0.001 * np.arange(4001)
    trajectories = []
    for _ in range(6):
        size, speed, phase = rng.uniform((1, 2, 0), (4, 25, 6), (4, 3)).T[:, :, None]
        current, between = (
            np.sum(size * np.sin(speed * at + phase), axis=0)[:, None]
            for at in (t, t + 0.0005)  # a step of the simulation gets the current in its middle
        )
        torque = signals.acting(signals.filtered(jnp.asarray(between)))
        states = move(State(jnp.asarray(rng.uniform(2, 4, 1)), jnp.zeros(1)), torque[:-1])
        step = 2 * np.pi / 4096
        q = np.round((np.unwrap(np.asarray(states.q, float), axis=0) + 0.05) / step) * step
        trajectories.append(Trajectory(t[::5], q[::5], tau=current[::5]))
    write("motor.npz", TrajectorySet(trajectories))


if __name__ == "__main__":
    main()
