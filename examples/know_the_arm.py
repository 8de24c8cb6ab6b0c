"""A known system for `lagdyna fit arm.npz --model known --known examples/know_the_arm.py:arm`.

The two-link arm of `record_an_arm.py` with its masses and inertias guessed. What is fitted are
the arrays of the system, but for those that `model.fixed` names.
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
