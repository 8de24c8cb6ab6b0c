"""Record an arm that holds a tool which its URDF lacks.

The arm is that of small_arm.urdf. Its hand holds a tool of 0.5 kg. Its joints have rotors, and
more friction than the URDF says. Torques have noise of 0.05 N m.

Run `python examples/record_a_robot.py`. It writes log.npz: names of joints, positions,
velocities and torques, six trajectories of 5 s at 200 Hz.
"""

from pathlib import Path

import jax
import numpy as np

from lagdyna.data import Trajectory, TrajectorySet, write
from lagdyna.systems import RobotModel

URDF = Path(__file__).parent / "small_arm.urdf"

VISCOUS = np.array([0.6, 0.8, 0.3])  # N m s/rad
COULOMB = np.array([0.9, 0.7, 0.4])  # N m
ARMATURE = np.array([0.12, 0.1, 0.05])  # kg m^2


def main() -> None:
    """Compute the torques of smooth motions."""
    hand = '<mass value="0.1"/>'
    robot = RobotModel.from_urdf(URDF.read_text().replace(hand, '<mass value="0.6"/>'))
    torques = jax.jit(jax.vmap(robot.inverse_dynamics))
    rng = np.random.default_rng(0)
    t = np.arange(0, 5, 0.005)
    trajectories = []
    for _ in range(6):
        speed = rng.uniform(1, 5, (4, 1, 3))
        size, phase = rng.uniform(0.5, 1.2, (4, 1, 3)) / speed, rng.uniform(0, 6, (4, 1, 3))
        angle = speed * t[:, None] + phase
        q = np.sum(size * np.sin(angle), axis=0)
        qd = np.sum(size * speed * np.cos(angle), axis=0)
        qdd = -np.sum(size * speed**2 * np.sin(angle), axis=0)
        tau = np.asarray(torques(q, qd, qdd)) + ARMATURE * qdd
        tau = tau + VISCOUS * qd + COULOMB * np.sign(qd) + 0.05 * rng.normal(size=tau.shape)
        trajectories.append(Trajectory(t, q, qd, tau=tau, joints=("yaw", "shoulder", "elbow")))
    write("log.npz", TrajectorySet(trajectories))


if __name__ == "__main__":
    main()
