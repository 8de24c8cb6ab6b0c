"""System with known equations of motion and unknown parameters: a two-link arm.

Run `lagdyna fit arm.npz --model known --known examples/know_the_arm.py:arm`.

This is the arm of `record_an_arm.py` with initial guesses of its masses and inertias. The fit
optimises all arrays of the system, except those named by `model.fixed`.
"""

import jax.numpy as jnp

from lagdyna.mechanics import Coordinates, FixedActuation, MechanicalSystem
from lagdyna.systems import PlanarChain

arm = MechanicalSystem(
    PlanarChain(
        mass=jnp.asarray([1.5, 0.7]),
        length=jnp.ones(2),
        centre=jnp.full(2, 0.5),
        inertia=jnp.full(2, 0.2),
        gravity=jnp.asarray(9.81),
    ),
    Coordinates((True, True)),
    FixedActuation(((1.0, 0.0), (0.0, 1.0))),
)
