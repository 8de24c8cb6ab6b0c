"""Read a URDF, and compute torques, poses and gravity compensation.

Run `python examples/use_a_robot.py`.
"""

from pathlib import Path

import jax
import jax.numpy as jnp

from lagdyna.systems import RobotModel

# --8<-- [start:use]
robot = RobotModel.from_urdf(Path(__file__).parent / "small_arm.urdf")
print("joints:", *robot.joints)

q, qd, qdd = jnp.array([0.3, 0.5, -1.0]), jnp.zeros(3), jnp.array([1.0, 0.0, 0.0])
rest = jnp.zeros(3)
print("torques for qdd:", robot.inverse_dynamics(q, qd, qdd))
print("gravity compensation:", robot.inverse_dynamics(q, rest, rest))
print("qdd without torque:", robot.forward_dynamics(q, qd, rest))
print("mass matrix:", robot.mass_matrix(q, qd), sep="\n")
rotation, position = robot.frame_pose(q, "hand")
print("hand:", position)

# All of these are functions of JAX: differentiate them, compile them and map them over batches.
jacobian = jax.jacfwd(lambda q: robot.frame_pose(q, "hand")[1])(q)
print("Jacobian of the hand:", jacobian, sep="\n")
torques = jax.jit(jax.vmap(robot.inverse_dynamics))
print("of 1,000 postures:", torques(*jnp.ones((3, 1000, 3))).shape)
# --8<-- [end:use]
