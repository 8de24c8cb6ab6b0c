import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lagdyna.data import Experience
from lagdyna.learners import GradientLearner, OneStepLoss, fit, step_scale
from lagdyna.mechanics import (
    AbstractHamiltonian,
    Coordinates,
    FixedActuation,
    GivenMomentum,
    MechanicalSystem,
    RigidBodyMomentum,
    State,
    VelocityMomentum,
    ViscousDissipation,
)
from lagdyna.models import HNN, StructuredHNN
from lagdyna.simulate import HamiltonianField, LagrangianField, SolvedTransition, rollout
from lagdyna.systems import PlanarChain, RelativisticParticle


@pytest.fixture
def _float64():
    with jax.enable_x64(True):
        yield


class ChainHamiltonian(AbstractHamiltonian):
    """Exact Hamiltonian of a chain, to compare its field with the Lagrangian field."""

    chain: PlanarChain

    def __call__(self, q, p):
        qd = self.velocity(q, p)
        return 0.5 * p @ qd + self.chain.potential_energy(q)

    def momentum(self, q, qd):
        return RigidBodyMomentum(self.chain).momentum(q, qd)

    def velocity(self, q, p):
        return RigidBodyMomentum(self.chain).velocity(q, p)


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("solver", ["tsit5", "semi_implicit_euler"])
def test_hamiltons_equations_are_those_of_lagrange(solver):
    chain = PlanarChain.rods(2, mass=1.0, cart_mass=0.7)
    coordinates = chain.coordinates
    actuation = FixedActuation(((2.0,), (0.0,), (-1.0,)))
    friction = ViscousDissipation(jnp.array([0.5, 0.2, 0.3]))
    state = State(jnp.array([0.1, 0.5, 1.0]), jnp.array([0.3, 1.0, -2.0]))
    action = jnp.array([0.8])
    system = MechanicalSystem(chain, coordinates, actuation, friction)
    reference = SolvedTransition(
        LagrangianField(system), coordinates, 0.05, solver="tsit5", substeps=8
    )
    substeps = 8 if solver == "tsit5" else 1000
    field = HamiltonianField(ChainHamiltonian(chain), actuation, friction)
    model = SolvedTransition(field, coordinates, 0.05, solver=solver, substeps=substeps)
    tolerance = 1e-9 if solver == "tsit5" else 1e-3
    expected = eqx.filter_jit(reference.step)(state, action)
    found = eqx.filter_jit(model.step)(state, action)
    np.testing.assert_allclose(found.q, expected.q, atol=tolerance)
    np.testing.assert_allclose(found.qd, expected.qd, atol=tolerance)


def perturbed(model):
    """Build the model in float64, with random weights."""
    leaves, structure = jax.tree.flatten(eqx.filter(model, eqx.is_inexact_array))
    keys = jax.random.split(jax.random.key(9), len(leaves))
    moved = [
        leaf.astype(float) + 0.2 * jax.random.normal(key, leaf.shape)
        for leaf, key in zip(leaves, keys, strict=True)
    ]
    return eqx.combine(jax.tree.unflatten(structure, moved), model)


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("kind", [HNN, StructuredHNN])
def test_energy_is_conserved_by_any_weights(kind):
    coordinates = Coordinates((True, False))
    model = perturbed(kind(coordinates, hidden=(16,), key=jax.random.key(0)))
    field = HamiltonianField(model, FixedActuation(((0.0,), (0.0,))))
    step = SolvedTransition(field, coordinates, 0.05, solver="tsit5", substeps=4)
    start = State(jnp.array([0.4, -0.2]), jnp.array([0.6, -0.3]))
    states = eqx.filter_jit(rollout)(step, start, jnp.zeros((60, 1)))
    energy = jax.jit(jax.vmap(model.energy))(states.q, states.qd)
    np.testing.assert_allclose(energy, energy[0], atol=1e-8)
    assert float(jnp.ptp(states.qd[:, 0])) > 0.01


@pytest.mark.usefixtures("_float64")
def test_momentum_maps_invert_each_other():
    coordinates, rng = Coordinates((True, True)), np.random.default_rng(0)
    q, qd = jnp.asarray(rng.normal(size=(2, 2)))
    structured = perturbed(StructuredHNN(coordinates, hidden=(8,), key=jax.random.key(0)))
    chain = PlanarChain.rods(2, mass=1.0)
    body = RigidBodyMomentum(chain)
    for model in (structured, body, VelocityMomentum()):
        there_and_back = eqx.filter_jit(lambda m: m.velocity(q, m.momentum(q, qd)))
        np.testing.assert_allclose(there_and_back(model), qd, rtol=1e-9)
    expected = eqx.filter_jit(chain.momentum)(q, qd)
    np.testing.assert_allclose(eqx.filter_jit(body.momentum)(q, qd), expected, rtol=1e-12)
    # The velocity of Hamilton's equations equals that of the momentum map.
    p = eqx.filter_jit(structured.momentum)(q, qd)
    slope = eqx.filter_jit(structured.gradient)(q, p)[1]
    np.testing.assert_allclose(slope, qd, rtol=1e-9)
    assert float(jnp.linalg.norm(p - qd)) > 0.1


def test_initial_mass():
    model = StructuredHNN(
        Coordinates((True, False)), initial_mass=(0.2, 3.0), key=jax.random.key(0)
    )
    factor = model.inverse_factor(jnp.array([0.4, 0.1]))
    np.testing.assert_allclose(jnp.diag(factor) ** -2, [0.2, 3.0], rtol=0.3)
    with pytest.raises(ValueError, match="initial_mass"):
        StructuredHNN(Coordinates((True,)), initial_mass=-1.0, key=jax.random.key(0))


def test_relativity_needs_canonical_momenta():
    # The experiment of Cranmer et al. (2020), figure 3, through one-step data.
    particle = RelativisticParticle(jnp.array([0.6]))
    coordinates, actuation = particle.coordinates, FixedActuation(((0.0,),))
    truth = SolvedTransition(
        LagrangianField(MechanicalSystem(particle, coordinates, actuation)),
        coordinates,
        0.1,
        solver="tsit5",
    )
    keys = jax.random.split(jax.random.key(0), 3)
    state = State(
        jax.random.uniform(keys[0], (512, 1), minval=-1, maxval=1),
        jax.random.uniform(keys[1], (512, 1), minval=-0.9, maxval=0.9),
    )
    action = jnp.zeros((512, 1))
    following = jax.jit(jax.vmap(truth.step))(state, action)
    nothing = jnp.zeros(512)
    data = Experience(state, action, nothing, following, nothing.astype(bool))
    learner = GradientLearner(optax.adam(3e-3), OneStepLoss(step_scale(data, coordinates)))
    canonical = GivenMomentum(
        lambda q, qd: qd / jnp.sqrt(1 - qd**2), lambda q, p: p / jnp.sqrt(1 + p**2)
    )

    def error(momentum_map):
        model = HNN(coordinates, momentum_map=momentum_map, hidden=(32, 32), key=keys[2])
        model = SolvedTransition(HamiltonianField(model, actuation), coordinates, 0.1)
        return float(
            fit(model, learner, data, key=keys[2], steps=300).metrics["loss"][-50:].mean()
        )

    assert error(canonical) < 3e-3
    assert error(VelocityMomentum()) > 1e-2
