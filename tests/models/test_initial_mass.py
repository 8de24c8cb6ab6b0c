import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna.mechanics import Coordinates
from lagdyna.models import DeLaN, StructuredHNN

from ..helpers import randomised, shape_of

COORDINATES = Coordinates((True, False))


# Masses over many orders of magnitude must not overflow.
@pytest.mark.parametrize("mass", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("kind", [DeLaN, StructuredHNN])
def test_initial_mass_is_exact_for_zero_network_outputs(kind, mass, x64):
    asked = {"initial_mass": mass, "min_diagonal": 1e-6, "hidden": (4,)}
    silent = randomised(shape_of(kind, COORDINATES, **asked), 0, scale=0.0)
    momentum = eqx.filter_jit(_momentum)(silent, jnp.zeros(2), jnp.asarray([1.0, -2.0]))
    np.testing.assert_allclose(momentum / mass, [1.0, -2.0], rtol=1e-9)


def _momentum(model, q, qd):
    if isinstance(model, DeLaN):
        return model.momentum(q, qd)
    inverse_mass = jax.jacfwd(lambda p: model.velocity(q, p))(qd)
    return jnp.linalg.solve(inverse_mass, qd)
