import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from lagdyna.mechanics import euler_lagrange

from ..helpers import WildLagrangian, close, normals, random_state

N = 3
seeds = st.integers(0, 10_000)


@eqx.filter_jit
def answers(model, q, qd, x):
    """Compute all quantities of the tests in one program, since compilation dominates."""
    qdd = model.forward_dynamics(q, qd, x)
    rate_of = lambda f: jax.jvp(f, (q, qd), (qd, qdd))[1]  # noqa: E731
    inverse = model.inverse_dynamics(q, qd, x)
    return {
        "slope": jax.grad(model.__call__)(q, qd),
        "mass_matrix": model.mass_matrix(q, qd),
        "forward": qdd,
        "inverse": inverse,
        "there_and_back": model.forward_dynamics(q, qd, inverse),
        "energy_rate": rate_of(model.energy),
        "momentum_rate": rate_of(model.momentum),
        "forces": model.forces(q, qd, x),
    }


def wild(seed: int) -> WildLagrangian:
    return WildLagrangian(normals(seed, 3, N, N))


@given(seed=seeds)
def test_forward_dynamics_inverts_inverse_dynamics(seed, tolerance):
    q, qd, qdd = random_state(seed, N)
    close(answers(wild(seed), q, qd, qdd)["there_and_back"], qdd, tolerance)


@given(seed=seeds)
def test_energy_rate_is_the_power_of_the_force(seed, tolerance):
    q, qd, tau = random_state(seed, N)
    close(answers(wild(seed), q, qd, tau)["energy_rate"], qd @ tau, tolerance)


@given(seed=seeds)
def test_momentum_rate_is_force_plus_gradient_of_the_lagrangian(seed, tolerance):
    q, qd, tau = random_state(seed, N)
    got = answers(wild(seed), q, qd, tau)
    close(got["momentum_rate"], tau + got["slope"], tolerance)


@given(seed=seeds)
def test_forces_add_up_to_inverse_dynamics(seed, tolerance):
    got = answers(wild(seed), *random_state(seed, N))
    close(sum(got["forces"]), got["inverse"], tolerance)


def test_forces_at_rest_are_conservative(tolerance):
    q, qd, _ = random_state(0, N)
    parts = answers(wild(0), q, 0 * qd, 0 * qd)["forces"]
    np.testing.assert_array_equal(parts.inertial, 0)
    np.testing.assert_allclose(parts.coriolis, 0, atol=tolerance / 100)
    # dV/dq of the helper's V = sum cos(c q), by hand.
    c = wild(0).weights[2]
    close(parts.conservative, -c.T @ jnp.sin(c @ q), tolerance)


def test_mass_matrix_of_a_quartic_kinetic_energy_depends_on_velocity(x64):
    q, qd, _ = random_state(1, N)
    factor = np.eye(N) + 0.3 * np.tanh(wild(1).weights[0] * q)
    v = factor @ qd
    expected = factor.T @ (np.eye(N) + np.diag(1.2 * v**2)) @ factor
    close(answers(wild(1), q, qd, qd)["mass_matrix"], expected, 1e-12)


def _cartpole(q, qd):
    """A cart of 1.5 kg carrying a point mass of 0.4 kg on 0.7 m, upright at 0."""
    (_, angle), (speed, rate) = q, qd
    vx, vy = speed + 0.7 * rate * jnp.cos(angle), -0.7 * rate * jnp.sin(angle)
    return 0.75 * speed**2 + 0.2 * (vx**2 + vy**2) - 0.4 * 9.8 * 0.7 * jnp.cos(angle)


def test_cartpole_accelerations_match_sympy(x64):
    t = sympy.symbols("t")
    x, a = (sympy.Function(name)(t) for name in "xa")
    px, py = x + sympy.Rational(7, 10) * sympy.sin(a), sympy.Rational(7, 10) * sympy.cos(a)
    kinetic = sympy.Rational(3, 4) * x.diff(t) ** 2 + sympy.Rational(1, 5) * (
        px.diff(t) ** 2 + py.diff(t) ** 2
    )
    potential = sympy.Rational(4, 10) * sympy.Rational(98, 10) * py
    lagrangian = kinetic - potential
    tau = sympy.symbols("u w")
    equations = [
        lagrangian.diff(c.diff(t)).diff(t) - lagrangian.diff(c) - force
        for c, force in zip((x, a), tau, strict=True)
    ]
    solved = sympy.solve(equations, [x.diff(t, 2), a.diff(t, 2)])
    exact = sympy.lambdify([a, a.diff(t), *tau], [solved[x.diff(t, 2)], solved[a.diff(t, 2)]])
    run = eqx.filter_jit(euler_lagrange.forward_dynamics)
    for seed in range(5):
        q, qd, force = random_state(seed, 2)
        expected = np.asarray(exact(float(q[1]), float(qd[1]), *map(float, force)))
        close(run(_cartpole, q, qd, force), expected, 1e-12)


def _singular(q, qd):
    """A Lagrangian without inertia along `q[1]`; `q[0]` sets that of the first coordinate."""
    return 0.5 * (1 + q[0] ** 2) * qd[0] ** 2 - jnp.sum(q**2)


def test_damped_solve_of_a_singular_mass_matrix_is_finite_with_finite_gradients(tolerance):
    q, qd, tau = random_state(2, 2)
    run = eqx.filter_jit(
        jax.value_and_grad(
            lambda q: jnp.sum(euler_lagrange.forward_dynamics(_singular, q, qd, tau, 0.1))
        )
    )
    value, gradient = run(q)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def test_damped_solve_of_a_singular_mass_matrix_tends_to_the_pseudo_inverse(x64):
    q, qd, tau = random_state(3, 2)

    @jax.jit
    def solve(q, qd, tau):
        el = euler_lagrange
        damped = el.forward_dynamics(_singular, q, qd, tau, 1e-5)
        return damped, el.mass_matrix(_singular, q, qd), el.bias_force(_singular, q, qd)

    damped, h, bias = solve(q, qd, tau)
    close(damped, np.linalg.pinv(h) @ (tau - bias), 1e-8)


def test_damping_disturbs_a_regular_solve_by_its_square(x64):
    q, qd, tau = random_state(4, N)
    forward = eqx.filter_jit(lambda m: m.forward_dynamics(q, qd, tau))
    exact = forward(wild(4))

    def error(damping: float) -> float:
        damped = WildLagrangian(wild(4).weights, damping)
        return float(jnp.linalg.norm(forward(damped) - exact))

    assert error(1e-2) > 1e-6
    assert error(1e-3) / error(1e-2) == pytest.approx(1e-2, rel=1e-2)
