import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna.mechanics import (
    CoulombDissipation,
    NoDissipation,
    QuadraticDissipation,
    StribeckDissipation,
    SumDissipation,
    ViscousDissipation,
)


def test_dry_friction_is_constant_at_speed_and_opposes_motion():
    friction = CoulombDissipation(jnp.array([0.3, 1.2]), width=0.01)
    q = jnp.zeros(2)
    for qd in ([1.0, -2.0], [5.0, -0.3]):
        np.testing.assert_allclose(friction(q, jnp.array(qd)), [-0.3, 1.2], rtol=1e-5)
    np.testing.assert_array_equal(friction(q, q), 0)
    for qd in np.random.default_rng(0).normal(size=(50, 2)) * 0.02:
        assert float(friction(q, jnp.asarray(qd)) @ qd) < 0


def test_dry_friction_is_the_gradient_of_its_rayleigh_function():
    coefficients, width = jnp.array([0.3, 1.2]), 0.05
    friction = CoulombDissipation(coefficients, width)
    qd = jnp.array([0.03, -0.08])
    rayleigh = lambda v: jnp.sum(coefficients * width * jnp.log(jnp.cosh(v / width)))  # noqa: E731
    np.testing.assert_allclose(friction(qd, qd), -jax.grad(rayleigh)(qd), rtol=1e-5)


def test_a_sliding_block_stops_at_the_analytic_distance():
    # A block of mass 1 at speed 1 under dry friction 0.5 stops after 1 m, in 2 s.
    friction = CoulombDissipation(jnp.array([0.5]), width=1e-3)
    dt = 1e-4

    def step(carry, _):
        x, v = carry
        v = v + dt * friction(x, v)
        return (x + dt * v, v), v

    (x, v), speeds = jax.lax.scan(step, (jnp.zeros(1), jnp.ones(1)), None, length=30_000)
    np.testing.assert_allclose(x[0], 1.0, atol=1e-3)
    assert abs(v[0]) < 1e-6
    np.testing.assert_allclose(speeds[10_000, 0], 0.5, atol=1e-3)


def test_a_sum_adds_forces_and_all_parts_are_trainable():
    parts = (ViscousDissipation(jnp.array([0.2])), CoulombDissipation(jnp.array([0.3]), 0.1))
    total = SumDissipation((*parts, NoDissipation()))
    q, qd = jnp.zeros(1), jnp.array([0.07])
    np.testing.assert_allclose(total(q, qd), parts[0](q, qd) + parts[1](q, qd))
    gradient = jax.grad(lambda f: f(q, qd)[0])(total)
    assert all(float(leaf[0]) < 0 for leaf in jax.tree.leaves(gradient))
    assert len(jax.tree.leaves(gradient)) == 2


def test_quadratic_friction_has_its_closed_form_and_opposes_motion():
    friction = QuadraticDissipation(jnp.array([0.3, 1.2]))
    qd = jnp.array([2.0, -0.5])
    np.testing.assert_allclose(friction(qd, qd), [-1.2, 0.3], rtol=1e-6)
    np.testing.assert_array_equal(friction(qd, jnp.zeros(2)), 0)
    rayleigh = lambda v: jnp.sum(jnp.array([0.3, 1.2]) * jnp.abs(v) ** 3) / 3  # noqa: E731
    np.testing.assert_allclose(friction(qd, qd), -jax.grad(rayleigh)(qd), rtol=1e-6)


def test_stribeck_friction_has_its_closed_form_and_fades_with_speed():
    friction = StribeckDissipation(jnp.array([0.3, 1.2]), jnp.array([0.4, 0.1]), width=0.01)
    np.testing.assert_allclose(friction.speed, [0.4, 0.1], rtol=1e-6)
    qd = jnp.array([0.4, -0.2])
    expected = [-0.3 * np.exp(-1), 1.2 * np.exp(-4)]
    np.testing.assert_allclose(friction(qd, qd), expected, rtol=1e-5)
    np.testing.assert_allclose(friction(qd, jnp.array([3.0, 3.0])), 0, atol=1e-20)


@pytest.mark.parametrize("weight", [-5.0, 0.0, 5.0])
def test_friction_is_dissipative_for_every_weight(weight):
    some = jnp.array([0.3, 1.2])
    for friction in (QuadraticDissipation(some), StribeckDissipation(some, some)):
        moved = jax.tree.map(lambda x: jnp.full_like(x, weight), friction)
        for qd in 1e-3 * np.random.default_rng(0).normal(size=(20, 2)):
            assert float(moved(some, jnp.asarray(qd)) @ qd) < 0


def test_wrong_arguments():
    with pytest.raises(ValueError, match="width"):
        StribeckDissipation(jnp.ones(1), jnp.ones(1), width=0.0)
    with pytest.raises(ValueError, match="width"):
        CoulombDissipation(jnp.ones(1), width=0.0)
    with pytest.raises(ValueError, match="parts"):
        SumDissipation(())
