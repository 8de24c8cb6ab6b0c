"""Tests of particles without a rigid-body Lagrangian against closed forms."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
import sympy as sm

from lagdyna.mechanics import Coordinates, FixedActuation, MechanicalSystem, State
from lagdyna.simulate import LagrangianField, SolvedTransition, rollout
from lagdyna.systems import ChargedParticle, RelativisticParticle


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def follow(lagrangian, state, dt, steps):
    coordinates = lagrangian.coordinates
    system = MechanicalSystem(
        lagrangian, coordinates, FixedActuation(((0.0,),) * coordinates.n)
    )
    step = SolvedTransition(LagrangianField(system), coordinates, dt, solver="dopri8")
    return jax.jit(rollout)(step, state, jnp.zeros((steps, 1)))


def test_relativistic_particle_under_a_constant_force():
    # From rest: v = g t / sqrt(1 + g^2 t^2), x = (sqrt(1 + g^2 t^2) - 1) / g. Never above c.
    g, dt = 1.5, 0.05
    t = dt * np.arange(101)
    states = follow(
        RelativisticParticle(jnp.array([g])), State(jnp.zeros(1), jnp.zeros(1)), dt, 100
    )
    root = np.sqrt(1 + (g * t) ** 2)
    np.testing.assert_allclose(states.qd[:, 0], g * t / root, atol=1e-9)
    np.testing.assert_allclose(states.q[:, 0], (root - 1) / g, atol=1e-9)
    assert states.qd.max() > 0.98


def test_force_along_and_across_the_motion():
    # d(gamma v)/dt = F: inertia is gamma^3 along the motion and gamma across it.
    particle = RelativisticParticle(jnp.zeros(2))
    qd = jnp.array([0.6, 0.0])
    qdd = particle.forward_dynamics(jnp.zeros(2), qd, jnp.array([1.0, 1.0]))
    gamma = 1 / np.sqrt(1 - 0.36)
    np.testing.assert_allclose(qdd, [gamma**-3, gamma**-1], rtol=1e-12)
    np.testing.assert_allclose(particle.momentum(jnp.zeros(2), qd), gamma * qd, rtol=1e-12)
    np.testing.assert_allclose(particle.energy(jnp.zeros(2), qd), gamma - 1, rtol=1e-12)


def test_printed_lagrangian_has_the_printed_momentum_but_another_motion():
    v, g, x = 0.7, 0.4, 0.2
    symbol = sm.symbols("v")
    lagrangian = (1 - symbol**2) ** sm.Rational(-1, 2) - 1
    momentum, mass = sm.diff(lagrangian, symbol), sm.diff(lagrangian, symbol, 2)
    printed = RelativisticParticle(jnp.array([g]), "printed")
    q, qd = jnp.array([x]), jnp.array([v])
    np.testing.assert_allclose(
        eqx.filter_jit(printed.momentum)(q, qd)[0], float(momentum.subs(symbol, v))
    )
    np.testing.assert_allclose(
        eqx.filter_jit(printed.momentum)(q, qd)[0], v * (1 - v**2) ** -1.5
    )
    qdd = eqx.filter_jit(printed.forward_dynamics)(q, qd, jnp.zeros(1))[0]
    np.testing.assert_allclose(qdd, g / float(mass.subs(symbol, v)), rtol=1e-12)
    np.testing.assert_allclose(qdd, g * (1 - v**2) ** 2.5 / (1 + 2 * v**2), rtol=1e-12)
    relativity = RelativisticParticle(jnp.array([g])).forward_dynamics(q, qd, jnp.zeros(1))[0]
    np.testing.assert_allclose(relativity, g * (1 - v**2) ** 1.5, rtol=1e-12)
    with pytest.raises((ValueError, jaxtyping.TypeCheckError), match="newton"):
        RelativisticParticle(jnp.array([g]), "newton")  # type: ignore[arg-type]


def charged(b, e):
    return ChargedParticle(jnp.asarray(2.0), jnp.asarray(-1.5), jnp.array(b), jnp.array(e))


def test_lorentz_force():
    rng = np.random.default_rng(0)
    b, e, q, qd = rng.normal(size=(4, 3))
    qdd = eqx.filter_jit(charged(b, e).forward_dynamics)(
        jnp.asarray(q), jnp.asarray(qd), jnp.zeros(3)
    )
    np.testing.assert_allclose(2.0 * qdd, -1.5 * (e + np.cross(qd, b)), rtol=1e-12)


def test_cyclotron_motion_and_drift():
    # Circles at e B / m about a guiding centre that drifts at E x B / B^2.
    b, e = [0.0, 0.0, 3.0], [0.4, 0.0, 0.0]
    rate, dt = -1.5 * 3.0 / 2.0, 0.02
    drift = np.cross(e, b) / 9.0
    start = np.array([0.3, 0.2, -0.1])
    particle = charged(b, e)
    states = follow(particle, State(jnp.zeros(3), jnp.asarray(start + drift)), dt, 200)
    angle = -rate * dt * np.arange(201)
    turned = np.stack(
        [
            start[0] * np.cos(angle) - start[1] * np.sin(angle),
            start[0] * np.sin(angle) + start[1] * np.cos(angle),
            np.full_like(angle, start[2]),
        ],
        axis=-1,
    )
    np.testing.assert_allclose(states.qd, turned + drift, atol=1e-9)
    energy = jax.vmap(particle.energy)(states.q, states.qd)
    np.testing.assert_allclose(energy, energy[0], atol=1e-10)
    assert Coordinates((False,) * 3).n == particle.coordinates.n
