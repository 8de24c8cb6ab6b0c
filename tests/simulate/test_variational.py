"""Variational midpoint rule: symplectic, second order, with forces, differentiable."""

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna.mechanics import (
    Coordinates,
    FixedActuation,
    MechanicalSystem,
    State,
    ViscousDissipation,
)
from lagdyna.models import NeuralODE
from lagdyna.simulate import (
    AccelerationField,
    LagrangianField,
    MechanicalTerm,
    SolvedTransition,
    VariationalMidpoint,
    get_solver,
    rollout,
)
from lagdyna.systems import ChargedParticle, Pendulum, PlanarChain, RelativisticParticle


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def transition(lagrangian, coordinates, dt, solver="variational_midpoint", **kwargs):
    matrix = ((1.0,),) + ((0.0,),) * (coordinates.n - 1)
    system = MechanicalSystem(lagrangian, coordinates, FixedActuation(matrix), **kwargs)
    return SolvedTransition(LagrangianField(system), coordinates, dt, solver=solver)


def test_energy_stays_bounded_over_ten_thousand_periods():
    # The period is about 6.7 s at a natural frequency of 1 rad/s and an amplitude of 1 rad.
    pendulum, coordinates = Pendulum.point_mass(gravity=1.0), Coordinates((True,))
    per_period, periods = 12, 10_000
    start = State(jnp.array([jnp.pi - 1.0]), jnp.zeros(1))
    reference = pendulum.energy(*start)

    @eqx.filter_jit
    def energy_errors(model):
        """Compute the largest energy error within each hundred periods."""

        def step(state, _):
            state = model.step(state, jnp.zeros(1))
            return state, jnp.abs(pendulum.energy(*state) - reference)

        def hundred_periods(state, _):
            state, errors = jax.lax.scan(step, state, None, length=100 * per_period)
            return state, jnp.max(errors)

        return jax.lax.scan(hundred_periods, start, None, length=periods // 100)[1]

    dt = 6.7 / per_period
    errors = energy_errors(transition(pendulum, coordinates, dt))
    assert errors[0] > 1e-4  # with steps this long the energy oscillates
    assert errors.max() < 0.05
    np.testing.assert_allclose(errors, errors[0], rtol=0.02)
    # Heun's method with a quarter of the step gains energy until the pendulum spins.
    heun = energy_errors(transition(pendulum, coordinates, dt / 4, "heun"))
    assert heun[9] > 5 * heun[0]
    assert heun[-1] > 20 * errors.max()


def test_step_is_symplectic():
    chain = PlanarChain.rods(1, mass=1.0, cart_mass=0.7)
    n = chain.coordinates.n
    model = transition(chain, chain.coordinates, 0.1)
    q, qd = jnp.linspace(0.2, 0.9, n), jnp.linspace(1.0, -0.5, n)

    @eqx.filter_jit
    def jacobian(solver_step):
        def canonical(z):
            velocity = jnp.linalg.solve(chain.mass_matrix(z[:n], z[:n]), z[n:])
            after = solver_step(State(z[:n], velocity), jnp.zeros(1))
            return jnp.concatenate([after.q, chain.momentum(*after)])

        return jax.jacfwd(canonical)(jnp.concatenate([q, chain.momentum(q, qd)]))

    form = np.block([[np.zeros((n, n)), np.eye(n)], [-np.eye(n), np.zeros((n, n))]])
    found = jacobian(model.step)
    np.testing.assert_allclose(found.T @ form @ found, form, atol=1e-9)
    # Control: Heun's method is not symplectic and fails this check.
    found = jacobian(transition(chain, chain.coordinates, 0.1, "heun").step)
    assert np.abs(found.T @ form @ found - form).max() > 1e-4


def test_momentum_of_a_symmetry_is_conserved_to_rounding():
    # No external force acts along x, so the total momentum along x is conserved.
    chain = PlanarChain.rods(2, mass=1.0, cart_mass=0.7)
    model = transition(chain, chain.coordinates, 0.02)
    start = State(jnp.array([0.0, 0.5, 1.0]), jnp.array([0.3, 1.0, -2.0]))
    states = eqx.filter_jit(rollout)(model, start, jnp.zeros((300, 1)))
    momentum = jax.vmap(chain.momentum)(states.q, states.qd)[:, 0]
    np.testing.assert_allclose(momentum, momentum[0], atol=1e-10)
    assert jnp.ptp(states.qd[:, 0]) > 1


def test_second_order_with_forces():
    chain = PlanarChain.rods(2, mass=1.0, cart_mass=0.7)
    friction = ViscousDissipation(jnp.array([0.5, 0.2, 0.3]))
    start = State(jnp.array([0.0, 0.5, 1.0]), jnp.array([0.3, 1.0, -2.0]))
    action = jnp.array([1.7])

    @eqx.filter_jit
    def end(model, steps):
        return jnp.concatenate(
            jax.lax.fori_loop(0, steps, lambda _, s: model.step(s, action), start)
        )

    exact = end(transition(chain, chain.coordinates, 0.01, "tsit5", dissipation=friction), 100)
    errors = []
    for steps in (50, 200):
        model = transition(chain, chain.coordinates, 1 / steps, dissipation=friction)
        errors.append(float(jnp.linalg.norm(end(model, jnp.asarray(steps)) - exact)))
    order = np.log(errors[0] / errors[1]) / np.log(4)
    np.testing.assert_allclose(order, 2, atol=0.1)


def test_gradient_equals_finite_differences():
    pendulum, coordinates = Pendulum.rod(), Coordinates((True,))
    start = State(jnp.array([0.5]), jnp.array([1.0]))

    @eqx.filter_jit
    @eqx.filter_value_and_grad
    def end(inputs):
        mass, action = inputs
        body = eqx.tree_at(lambda p: p.mass, pendulum, mass)
        model = transition(body, coordinates, 0.05)
        return rollout(model, start, jnp.tile(action, (10, 1))).q[-1, 0]

    inputs = (jnp.asarray(1.3), jnp.array([0.7]))
    _, gradient = end(inputs)
    for i, analytic in enumerate(gradient):
        up, down = list(inputs), list(inputs)
        up[i], down[i] = up[i] + 1e-6, down[i] - 1e-6
        slope = (end(tuple(up))[0] - end(tuple(down))[0]) / 2e-6
        np.testing.assert_allclose(jnp.sum(analytic), slope, rtol=1e-5)


def test_lagrangians_that_are_not_of_rigid_bodies():
    # Under a constant force the relativistic momentum grows by exactly g h per step.
    particle = RelativisticParticle(jnp.array([0.8]))
    model = transition(particle, particle.coordinates, 0.1)
    start = State(jnp.zeros(1), jnp.array([0.5]))
    states = eqx.filter_jit(rollout)(model, start, jnp.zeros((20, 1)))
    momentum = states.qd[:, 0] / np.sqrt(1 - states.qd[:, 0] ** 2)
    np.testing.assert_allclose(momentum - momentum[0], 0.08 * np.arange(21), atol=1e-10)
    # A charge in a magnetic field keeps its speed for every step length.
    charge = ChargedParticle(
        jnp.asarray(1.0), jnp.asarray(1.0), jnp.array([0.0, 0.0, 2.0]), jnp.zeros(3)
    )
    model = transition(charge, charge.coordinates, 0.4)
    start = State(jnp.zeros(3), jnp.array([1.0, 0.0, 0.2]))
    states = eqx.filter_jit(rollout)(model, start, jnp.zeros((50, 1)))
    speed = jnp.linalg.norm(states.qd, axis=1)
    np.testing.assert_allclose(speed, speed[0], rtol=1e-10)


def test_solver_works_in_diffeqsolve():
    pendulum, coordinates = Pendulum.rod(), Coordinates((True,))
    system = MechanicalSystem(pendulum, coordinates, FixedActuation(((1.0,),)))
    start, action = State(jnp.array([0.5]), jnp.array([1.0])), jnp.array([0.3])
    ends = [
        dfx.diffeqsolve(MechanicalTerm(system), solver, 0.0, 0.5, 0.01, start, action).ys
        for solver in (VariationalMidpoint(), dfx.Tsit5())
    ]
    np.testing.assert_allclose(ends[0].q[-1], ends[1].q[-1], atol=1e-3)
    model = transition(pendulum, coordinates, 0.01)
    stepped = rollout(model, start, jnp.tile(action, (50, 1)))
    np.testing.assert_allclose(stepped.q[-1], ends[0].q[-1], atol=1e-10)


def test_float32_and_batches():
    with jax.enable_x64(False):
        chain = PlanarChain.rods(2, mass=1.0)
        model = transition(chain, chain.coordinates, 0.02)
        states = State(*jax.random.normal(jax.random.key(0), (2, 64, 2)))
        after = jax.jit(jax.vmap(model.step))(states, jnp.zeros((64, 1)))
        heun = transition(chain, chain.coordinates, 0.02, "bosh3")
        expected = jax.jit(jax.vmap(heun.step))(states, jnp.zeros((64, 1)))
        assert after.q.dtype == jnp.float32
        np.testing.assert_allclose(after.qd, expected.qd, atol=2e-2)


def test_needs_a_lagrangian():
    assert isinstance(get_solver("variational_midpoint"), VariationalMidpoint)
    coordinates = Coordinates((True,))
    field = AccelerationField(NeuralODE(coordinates, 1, key=jax.random.key(0)))
    with pytest.raises(ValueError, match="AccelerationField"):
        SolvedTransition(field, coordinates, 0.1, solver="variational_midpoint")
