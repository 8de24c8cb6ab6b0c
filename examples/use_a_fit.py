"""Load a fitted model and evaluate its dynamics.

Run `python examples/use_a_fit.py runs/arm-delan-1`.
"""

import sys

import jax
import jax.numpy as jnp

import lagdyna
from lagdyna import State

if len(sys.argv) != 2:
    sys.exit(__doc__)
directory = sys.argv[1]

# --8<-- [start:use]
model = lagdyna.load_fit(directory).model
q, qd, qdd = jnp.array([0.1, 0.5]), jnp.array([0.0, 1.0]), jnp.array([1.0, -2.0])
print("mass matrix:", model.mass_matrix(q, qd), sep="\n")
print("energy:", model.energy(q, qd))
print("torques for qdd:", model.inverse_dynamics(q, qd, qdd), *model.forces(q, qd, qdd))
print("qdd without torque:", model.forward_dynamics(q, qd, jnp.zeros(2)))
path = model.rollout(State(q, qd), jnp.zeros((50, 2)))
print("let go, 50 steps later:", path.q[-1])

# For a control loop, export a function that is traced ahead of time.
inverse_dynamics = jax.jit(model.export_inverse_dynamics().call)
print("torques for qdd:", inverse_dynamics(q, qd, qdd))
# --8<-- [end:use]
