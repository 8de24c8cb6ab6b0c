import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagdyna.mechanics import (
    Coordinates,
    FixedActuation,
    LearnedActuation,
    MechanicalSystem,
    NoDissipation,
    ViscousDissipation,
)

from ..helpers import close, normals, random_delan, random_state

MATRIX = ((10.0, 0.0), (0.0, 0.0), (-1.0, 2.0))
friction_force = eqx.filter_jit(lambda d, q, qd: d(q, qd))


def test_fixed_actuation_is_its_matrix_times_the_action():
    force = FixedActuation(MATRIX)(jnp.zeros(3), jnp.asarray([0.5, -1.0]))
    np.testing.assert_array_equal(force, [5.0, 0.0, -2.5])


def test_fixed_actuation_has_no_trainable_leaves():
    assert jax.tree.leaves(FixedActuation(MATRIX)) == []


def test_fixed_actuation_keeps_the_precision_of_the_state(x64):
    action = jnp.ones(2, jnp.float32)
    assert FixedActuation(MATRIX)(jnp.zeros(3, jnp.float32), action).dtype == jnp.float32


@pytest.mark.parametrize("matrix", [(), ((1.0,), (1.0, 2.0))])
def test_a_ragged_or_empty_actuation_matrix_is_refused(matrix):
    with pytest.raises(ValueError, match="`matrix`"):
        FixedActuation(matrix)


def test_learned_actuation_agrees_with_the_fixed_one_of_the_same_matrix():
    q, action = jnp.zeros(3), jnp.asarray([0.5, -1.0])
    learned = LearnedActuation(jnp.asarray(MATRIX))
    close(learned(q, action), FixedActuation(MATRIX)(q, action), 1e-6)


def test_gradient_reaches_the_matrix_of_a_learned_actuation():
    action = jnp.asarray([0.5, -1.0])
    loss = lambda b: b(jnp.zeros(3), action) @ jnp.asarray([1.0, 2.0, 3.0])  # noqa: E731
    gradient = jax.grad(loss)(LearnedActuation(jnp.asarray(MATRIX)))
    close(gradient.matrix, np.outer([1.0, 2.0, 3.0], action), 1e-6)


def test_no_dissipation_has_no_force_and_no_trainable_leaves():
    q, qd, _ = random_state(0, 3)
    np.testing.assert_array_equal(NoDissipation()(q, qd), 0)
    assert jax.tree.leaves(NoDissipation()) == []


@given(seed=st.integers(0, 1000), scale=st.floats(0.01, 30))
def test_viscous_friction_dissipates_energy_for_all_weights(seed, scale):
    friction = ViscousDissipation(jnp.ones(3))
    friction = eqx.tree_at(lambda d: d.raw, friction, scale * normals(seed, 3))
    q, qd, _ = random_state(seed, 3)
    assert qd @ friction_force(friction, q, qd) < 0


@given(coefficient=st.floats(1e-6, 1e4))
def test_viscous_friction_has_the_coefficients_it_was_given(coefficient, tolerance):
    given_ = jnp.asarray([coefficient, 1.0])
    got = ViscousDissipation(given_).coefficients
    np.testing.assert_allclose(got, given_, rtol=tolerance)


def test_viscous_friction_opposes_the_motion_proportionally(tolerance):
    friction = ViscousDissipation(jnp.asarray([0.5, 2.0]))
    close(friction(jnp.zeros(2), jnp.asarray([4.0, -1.0])), np.asarray([-2.0, 2.0]), tolerance)


FRICTION = (0.3, 0.2, 0.1)


@eqx.filter_jit
def driven_and_braked(lagrangian, q, qd, action):
    """Evaluate a system with motors and friction under `action`."""
    coordinates, friction = Coordinates((False, True, True)), jnp.asarray(FRICTION)
    system = MechanicalSystem(
        lagrangian, coordinates, FixedActuation(MATRIX), ViscousDissipation(friction)
    )
    qdd = system.forward_dynamics(q, qd, action)
    supplied = system.inverse_dynamics(q, qd, qdd)
    _, power = jax.jvp(system.energy, (q, qd), (qd, qdd))
    return supplied, power


def test_inverse_dynamics_includes_friction(tolerance):
    q, qd, _ = random_state(1, 3)
    action = jnp.asarray([0.7, -0.4])
    supplied, _ = driven_and_braked(random_delan(0, (False, True, True)), q, qd, action)
    close(supplied, np.asarray(MATRIX) @ action, tolerance)


def test_energy_of_a_system_changes_by_the_power_of_actuators_and_friction(tolerance):
    q, qd, _ = random_state(2, 3)
    action = jnp.asarray([0.7, -0.4])
    _, power = driven_and_braked(random_delan(0, (False, True, True)), q, qd, action)
    expected = qd @ (np.asarray(MATRIX) @ action) - np.asarray(FRICTION) @ qd**2
    close(power, expected, tolerance)
