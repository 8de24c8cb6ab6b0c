import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lagdyna.learners import Accelerations, ForwardLoss, GradientLearner, fit, root_mean_square
from lagdyna.mechanics import (
    Coordinates,
    DampedSolve,
    ExactSolve,
    FixedActuation,
    MechanicalSystem,
    PseudoInverseSolve,
    State,
)
from lagdyna.models import LNN, DeLaN
from lagdyna.systems import RelativisticParticle

from ..helpers import built, normals, randomised, shape_of


@pytest.fixture
def _float64():
    with jax.enable_x64(True):
        yield


def double(*args, **options):
    """Build an LNN in float64, with random weights and biases."""
    return randomised(shape_of(LNN, *args, solve=ExactSolve(), **options), 9, 0.5)


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize(
    ("angles", "hidden", "activation"),
    [
        ((True,), (7,), jax.nn.softplus),
        ((False, True), (8, 5), jnp.tanh),
        ((True,) * 3, (6, 6, 6), jax.nn.softplus),
    ],
)
def test_motion_is_euler_lagrange_of_its_own_lagrangian(angles, hidden, activation):
    n = len(angles)
    model = double(
        Coordinates(angles),
        hidden=hidden,
        activation=activation,
        velocity_scale=(3.0, 0.5, 2.0)[:n],
    )

    @eqx.filter_jit
    def compare(model, motion):
        q, qd, tau, qdd = motion
        found = (
            model.forward_dynamics(q, qd, tau),
            model.mass_matrix(q, qd),
            sum(model.forces(q, qd, qdd)),
            model.inverse_dynamics(q, qd, model.forward_dynamics(q, qd, tau)),
        )
        # Equation 2 of Cranmer et al. as printed, with nested Jacobians.
        mass = jax.jacfwd(jax.jacfwd(model, 1), 1)(q, qd)
        mixed = jax.jacfwd(jax.jacfwd(model, 1), 0)(q, qd)
        rest = jax.jacfwd(model, 0)(q, qd) - mixed @ qd
        expected = (jnp.linalg.solve(mass, tau + rest), mass, mass @ qdd - rest, tau)
        return found, expected

    for found, expected in zip(*compare(model, normals(2, 4, n)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.usefixtures("_float64")
def test_power_balance():
    # dE/dt = qd . tau for any weights, with E = qd . p - L.
    model = double(Coordinates((True, False)), hidden=(16,))

    @eqx.filter_jit
    def power(model, q, qd, tau):
        qdd = model.forward_dynamics(q, qd, tau)
        return jax.jvp(model.energy, (q, qd), (qd, qdd))[1], qd @ tau

    np.testing.assert_allclose(*power(model, *normals(2, 3, 2)), rtol=1e-10)


def test_angles_are_periodic():
    model = built(LNN, Coordinates((True, False)), key=jax.random.key(0))
    qd = np.array([0.3, -0.5])
    q = np.array([[0.4, 0.1], [0.4 + 2 * np.pi, 0.1], [0.9, 0.6]])
    here, around, elsewhere = eqx.filter_jit(eqx.filter_vmap(model, in_axes=(0, None)))(q, qd)
    np.testing.assert_allclose(here, around, rtol=1e-5)
    assert abs(here - elsewhere) > 1e-4


@pytest.mark.usefixtures("_float64")
def test_solves():
    rng = np.random.default_rng(0)
    solved = jax.jit(lambda h, b: (ExactSolve()(h, b), DampedSolve(0.3)(h, b)))
    for n in (1, 2, 3, 4):
        h, b = rng.normal(size=(n, n)), rng.normal(size=n)
        h = h + h.T
        exact, damped = solved(h, b)
        np.testing.assert_allclose(exact, np.linalg.solve(h, b), rtol=1e-10)
        # The damped solve is least squares of the equations stacked on `damping qdd = 0`.
        stacked = np.concatenate([h, 0.3 * np.eye(n)])
        least = np.linalg.lstsq(stacked, np.concatenate([b, np.zeros(n)]))[0]
        np.testing.assert_allclose(damped, least, rtol=1e-9)
    singular = np.array([[1.0, 2.0], [2.0, 4.0]])
    b = np.array([1.0, 0.5])
    expected = np.linalg.lstsq(singular, b)[0]
    solved = jax.jit(lambda h, b: (PseudoInverseSolve()(h, b), DampedSolve(1e-5)(h, b)))
    pseudo, damped = solved(singular, b)
    np.testing.assert_allclose(pseudo, expected, rtol=1e-10)
    np.testing.assert_allclose(damped, expected, rtol=1e-5)
    with pytest.raises(ValueError, match="damping"):
        DampedSolve(0.0)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_damped_solve_survives_a_singular_matrix_in_float32(n):
    direction = np.arange(1.0, n + 1, dtype=np.float32)
    direction /= np.linalg.norm(direction)
    h = 5 * np.outer(direction, direction) * (n > 1)

    @jax.jit
    def solve(h, b):
        return DampedSolve(1e-3)(h, b), jax.jacobian(DampedSolve(1e-3))(h, b)

    found, slope = solve(h, direction)
    np.testing.assert_allclose(found, direction / 5 * (n > 1), atol=1e-3)
    assert np.isfinite(slope).all()


def test_initialisation_of_the_paper():
    model = built(
        LNN,
        Coordinates((False, False)),
        hidden=(200, 200, 200),
        initialisation="cranmer2020",
        regulariser=0.0,
        key=jax.random.key(0),
    )
    sigma = [np.std(layer.weight) for layer in model.network.layers]
    root = 200**0.5
    expected = [2.2 / root, 0.58 / root, 2 * 0.58 / root, root]
    np.testing.assert_allclose(sigma, expected, rtol=0.1)
    assert not any(np.any(layer.bias) for layer in model.network.layers)


def test_untrained_mass_is_the_regulariser():
    model = built(LNN, Coordinates((True, True)), regulariser=2.0, key=jax.random.key(0))
    mass = eqx.filter_jit(model.mass_matrix)(*normals(1, 2, 2))
    np.testing.assert_allclose(mass, 4 * np.eye(2), atol=0.2)


def test_wrong_arguments():
    coordinates, key = Coordinates((True,)), jax.random.key(0)
    with pytest.raises(ValueError, match="hidden"):
        LNN(coordinates, hidden=(), key=key)
    with pytest.raises(ValueError, match="regulariser"):
        LNN(coordinates, regulariser=-1.0, key=key)


def test_learns_relativity_where_a_quadratic_kinetic_energy_cannot():
    particle = RelativisticParticle(jnp.array([0.3]))
    actuation = FixedActuation(((1.0,),))
    keys = jax.random.split(jax.random.key(0), 4)
    key = keys[3]

    @jax.jit
    def moved(keys):
        q = jax.random.uniform(keys[0], (512, 1), minval=-1, maxval=1)
        qd = jax.random.uniform(keys[1], (512, 1), minval=-0.9, maxval=0.9)
        tau = jax.random.normal(keys[2], (512, 1))
        qdd = jax.vmap(particle.forward_dynamics)(q, qd, tau)
        return Accelerations(State(q, qd), tau, qdd)

    data = moved(keys)
    train, test = (jax.tree.map(lambda x, part=part: x[part], data) for part in SPLIT)
    learner = GradientLearner(optax.adam(3e-3), ForwardLoss(root_mean_square(train.qdd)))

    def error(lagrangian):
        model = MechanicalSystem(lagrangian, particle.coordinates, actuation)
        fitted = fit(model, learner, train, key=key, steps=500).model
        return float(eqx.filter_jit(learner.loss)(fitted, test))

    lnn = error(built(LNN, particle.coordinates, hidden=(32, 32), key=key))
    delan = error(built(DeLaN, particle.coordinates, hidden=(32, 32), key=key))
    assert lnn < 5e-3, lnn
    assert delan > 0.1, delan


SPLIT = (slice(384), slice(384, None))
