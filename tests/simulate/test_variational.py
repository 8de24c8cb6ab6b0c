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

from ..helpers import built, normals


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

    @eqx.filter_jit
    def energy_errors(model):
        """Compute the largest energy error within each hundred periods."""
        start = State(jnp.array([jnp.pi - 1.0]), jnp.zeros(1))
        reference = pendulum.energy(*start)

        def step(state, _):
            state = model.step(state, jnp.zeros(1))
            return state, jnp.abs(pendulum.energy(*state) - reference)

        def hundred_periods(state, _):
            state, errors = jax.lax.scan(step, state, None, length=100 * per_period)
            return state, jnp.max(errors)

        return jax.lax.scan(hundred_periods, start, None, length=periods // 100)[1]

    dt = 6.7 / per_period
    errors = np.asarray(energy_errors(transition(pendulum, coordinates, dt)))
    assert errors[0] > 1e-4  # with steps this long the energy oscillates
    assert errors.max() < 0.05
    np.testing.assert_allclose(errors, errors[0], rtol=0.02)
    # Heun's method with a quarter of the step gains energy until the pendulum spins.
    heun = np.asarray(energy_errors(transition(pendulum, coordinates, dt / 4, "heun")))
    assert heun[9] > 5 * heun[0]
    assert heun[-1] > 20 * errors.max()


def test_step_is_symplectic():
    chain = PlanarChain.rods(1, mass=1.0, cart_mass=0.7)
    n = chain.coordinates.n
    q, qd = np.linspace(0.2, 0.9, n), np.linspace(1.0, -0.5, n)
    form = np.block([[np.zeros((n, n)), np.eye(n)], [-np.eye(n), np.zeros((n, n))]])

    @eqx.filter_jit
    def jacobian(model, q, qd):
        def canonical(z):
            velocity = jnp.linalg.solve(chain.mass_matrix(z[:n], z[:n]), z[n:])
            after = model.step(State(z[:n], velocity), jnp.zeros(1))
            return jnp.concatenate([after.q, chain.momentum(*after)])

        return jax.jacfwd(canonical)(jnp.concatenate([q, chain.momentum(q, qd)]))

    def violation(solver):
        model = transition(chain, chain.coordinates, 0.1, solver)
        found = np.asarray(jacobian(model, q, qd))
        return np.abs(found.T @ form @ found - form).max()

    assert violation("variational_midpoint") < 1e-9
    # Control: Heun's method is not symplectic and fails this check.
    assert violation("heun") > 1e-4


def test_momentum_of_a_symmetry_is_conserved_to_rounding():
    # No external force acts along x, so the total momentum along x is conserved.
    chain = PlanarChain.rods(1, mass=1.0, cart_mass=0.7)
    model = transition(chain, chain.coordinates, 0.02)
    start = State(jnp.array([0.0, 0.5]), jnp.array([0.3, -2.0]))

    @eqx.filter_jit
    def moved(model, start):
        states = rollout(model, start, jnp.zeros((300, 1)))
        return states.qd[:, 0], jax.vmap(chain.momentum)(*states)[:, 0]

    speed, momentum = (np.asarray(x) for x in moved(model, start))
    np.testing.assert_allclose(momentum, momentum[0], atol=1e-10)
    assert np.ptp(speed) > 1


def test_second_order_with_forces():
    chain = PlanarChain.rods(1, mass=1.0, cart_mass=0.7)
    friction = ViscousDissipation(jnp.array([0.5, 0.2]))
    start = State(jnp.array([0.0, 0.5]), jnp.array([0.3, -2.0]))
    action = jnp.array([1.7])

    @eqx.filter_jit
    def end(model, steps):
        return jnp.concatenate(
            jax.lax.fori_loop(0, steps, lambda _, s: model.step(s, action), start)
        )

    def after_a_second(steps, solver):
        model = transition(chain, chain.coordinates, 1 / steps, solver, dissipation=friction)
        return np.asarray(end(model, jnp.asarray(steps)))

    exact = after_a_second(100, "tsit5")
    errors = [
        np.linalg.norm(after_a_second(steps, "variational_midpoint") - exact)
        for steps in (50, 200)
    ]
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

    def at(mass, action):
        value, slopes = end((jnp.asarray(mass), jnp.asarray([action])))
        return np.asarray(value).item(), [np.asarray(each).item() for each in slopes]

    _, gradient = at(1.3, 0.7)
    for change, analytic in zip(1e-6 * np.eye(2), gradient, strict=True):
        up, down = (at(1.3 + sign * change[0], 0.7 + sign * change[1])[0] for sign in (1, -1))
        np.testing.assert_allclose(analytic, (up - down) / 2e-6, rtol=1e-5)


def test_lagrangians_that_are_not_of_rigid_bodies():
    # Under a constant force the relativistic momentum grows by exactly g h per step.
    particle = RelativisticParticle(jnp.array([0.8]))
    model = transition(particle, particle.coordinates, 0.1)
    start = State(jnp.zeros(1), jnp.array([0.5]))
    states = eqx.filter_jit(rollout)(model, start, jnp.zeros((20, 1)))
    speed = np.asarray(states.qd)[:, 0]
    momentum = speed / np.sqrt(1 - speed**2)
    np.testing.assert_allclose(momentum - momentum[0], 0.08 * np.arange(21), atol=1e-10)
    # A charge in a magnetic field keeps its speed for every step length.
    charge = ChargedParticle(
        jnp.asarray(1.0), jnp.asarray(1.0), jnp.array([0.0, 0.0, 2.0]), jnp.zeros(3)
    )
    model = transition(charge, charge.coordinates, 0.4)
    start = State(jnp.zeros(3), jnp.array([1.0, 0.0, 0.2]))
    states = eqx.filter_jit(rollout)(model, start, jnp.zeros((50, 1)))
    speed = np.linalg.norm(states.qd, axis=1)
    np.testing.assert_allclose(speed, speed[0], rtol=1e-10)


def test_solver_works_in_diffeqsolve():
    pendulum, coordinates = Pendulum.rod(), Coordinates((True,))
    system = MechanicalSystem(pendulum, coordinates, FixedActuation(((1.0,),)))
    start, action = State(jnp.array([0.5]), jnp.array([1.0])), jnp.array([0.3])
    model = transition(pendulum, coordinates, 0.01)

    @jax.jit
    def ends(start, action):
        solved = [
            dfx.diffeqsolve(MechanicalTerm(system), solver, 0.0, 0.5, 0.01, start, action).ys
            for solver in (VariationalMidpoint(), dfx.Tsit5())
        ]
        stepped = rollout(model, start, jnp.tile(action, (50, 1)))
        return [each.q[-1] for each in (*solved, stepped)]

    midpoint, tsit5, stepped = ends(start, action)
    np.testing.assert_allclose(midpoint, tsit5, atol=1e-3)
    np.testing.assert_allclose(stepped, midpoint, atol=1e-10)


def test_float32_and_batches():
    with jax.enable_x64(False):
        chain = PlanarChain.rods(2, mass=1.0)
        model = transition(chain, chain.coordinates, 0.02)
        states = State(*normals(0, 2, 64, 2))
        bosh3 = transition(chain, chain.coordinates, 0.02, "bosh3")
        after, expected = jax.jit(
            lambda *x: [jax.vmap(each.step)(*x) for each in (model, bosh3)]
        )(states, jnp.zeros((64, 1)))
        assert after.q.dtype == jnp.float32
        np.testing.assert_allclose(after.qd, expected.qd, atol=2e-2)


def test_needs_a_lagrangian():
    assert isinstance(get_solver("variational_midpoint"), VariationalMidpoint)
    coordinates = Coordinates((True,))
    field = AccelerationField(built(NeuralODE, coordinates, 1, key=jax.random.key(0)))
    with pytest.raises(ValueError, match="AccelerationField"):
        SolvedTransition(field, coordinates, 0.1, solver="variational_midpoint")
