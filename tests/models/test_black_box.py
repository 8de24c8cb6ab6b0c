"""Tests of black-box networks, alone and as residuals of known physics."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lagdyna.data import Experience
from lagdyna.learners import (
    Accelerations,
    ForwardLoss,
    GradientLearner,
    MotionResidual,
    OneStepLoss,
    ResidualLoss,
    fit,
    root_mean_square,
    step_scale,
)
from lagdyna.mechanics import (
    AbstractGeneralLagrangian,
    AbstractLagrangian,
    Coordinates,
    FixedActuation,
    MechanicalSystem,
    State,
    SumLagrangian,
    ViscousDissipation,
)
from lagdyna.models import DeLaN, NeuralODE, ResidualAcceleration, ResidualForce
from lagdyna.simulate import (
    AccelerationField,
    LagrangianField,
    MLPTransition,
    SolvedTransition,
)
from lagdyna.systems import ChargedParticle, Pendulum, PlanarChain

from ..helpers import built, normals

COORDINATES = Coordinates((True,))
ACTUATION = FixedActuation(((2.0,),))


class DirectSum(AbstractGeneralLagrangian):
    """Sum of two Lagrangians, differentiated as one function."""

    known: AbstractLagrangian
    learned: AbstractLagrangian
    damping: float = 0.0

    def __call__(self, q, qd):
        return self.known(q, qd) + self.learned(q, qd)


KEYS = jax.random.split(jax.random.key(0), 4)


def pendulum(friction=0.0):
    if friction:
        dissipation = ViscousDissipation(jnp.array([friction]))
        return MechanicalSystem(Pendulum.rod(), COORDINATES, ACTUATION, dissipation)
    return MechanicalSystem(Pendulum.rod(), COORDINATES, ACTUATION)


@eqx.filter_jit
def accelerations(system, rows, key=KEYS[0]):
    keys = jax.random.split(key, 3)
    q = jax.random.uniform(keys[0], (rows, 1), minval=-3, maxval=3)
    qd = 2 * jax.random.normal(keys[1], (rows, 1))
    action = jax.random.uniform(keys[2], (rows, 1))
    return Accelerations(State(q, qd), action, jax.vmap(system.forward_dynamics)(q, qd, action))


@eqx.filter_jit
def experience(system, rows, dt, key=KEYS[0]):
    data = accelerations(system, rows, key)
    truth = SolvedTransition(LagrangianField(system), COORDINATES, dt, solver="tsit5")
    following = jax.vmap(truth.step)(data.state, data.action)
    nothing = jnp.zeros(rows)
    return Experience(data.state, data.action, nothing, following, nothing.astype(bool))


scale_of = eqx.filter_jit(root_mean_square)
step_scale_of = eqx.filter_jit(step_scale)


def test_neural_ode_learns_accelerations_and_steps():
    system = pendulum(0.3)
    data, unseen = accelerations(system, 256), accelerations(system, 256, KEYS[1])
    scale = scale_of(data.qdd)
    learner = GradientLearner(optax.adam(5e-3), ForwardLoss(scale))
    model = built(
        NeuralODE,
        COORDINATES,
        1,
        hidden=(32, 32),
        velocity_scale=(2.0,),
        acceleration_scale=(np.asarray(scale).item(),),
        key=KEYS[2],
    )
    assert float(eqx.filter_jit(learner.loss)(model, unseen)) > 0.3
    model = fit(model, learner, data, key=KEYS[3], steps=500).model
    assert float(eqx.filter_jit(learner.loss)(model, unseen)) < 5e-3
    truth = experience(system, 64, 0.05, KEYS[1])
    step = SolvedTransition(AccelerationField(model), COORDINATES, 0.05)
    found = jax.jit(jax.vmap(step.step))(truth.state, truth.action)
    np.testing.assert_allclose(found.qd, truth.next_state.qd, atol=0.3)


def whole_steps(scale: State) -> MLPTransition:
    """A network for whole steps of the pendulum."""
    return built(
        MLPTransition,
        COORDINATES,
        1,
        scale=scale,
        velocity_scale=(2.0,),
        hidden=(32, 32),
        key=KEYS[2],
    )


def test_mlp_transition_learns_the_change_of_state():
    data, unseen = (experience(pendulum(), 512, 0.05, key) for key in KEYS[:2])
    scale = step_scale_of(data, COORDINATES)
    learner = GradientLearner(optax.adam(5e-3), OneStepLoss(scale))
    model = whole_steps(scale)
    fitted = fit(model, learner, data, key=KEYS[3], steps=500).model
    assert float(eqx.filter_jit(learner.loss)(fitted, unseen)) < 1e-2
    # Scales are constants, not weights.
    np.testing.assert_array_equal(fitted.scale.q, scale.q)
    limited = built(MLPTransition, COORDINATES, 1, velocity_limits=(0.5,), key=KEYS[2])
    start = State(jnp.array([3.1]), jnp.array([4.0]))
    after = eqx.filter_jit(limited.step)(start, jnp.array([1.0]))
    assert abs(np.asarray(after.qd).item()) <= 0.5
    held = built(MLPTransition, COORDINATES, 1, stops=(2.0,), key=KEYS[2])
    q, qd = eqx.filter_jit(held.step)(start, jnp.array([1.0]))
    assert (np.asarray(q).item(), np.asarray(qd).item()) == (2.0, 0.0)
    with pytest.raises(ValueError, match="entries"):
        MLPTransition(COORDINATES, 1, velocity_scale=(1.0, 1.0), key=KEYS[2])


def test_mlp_transition_keeps_context_constant_and_ignores_it():
    """Use a pendulum with a target position as context."""
    alone = built(MLPTransition, COORDINATES, 1, key=KEYS[2])
    limits = {"velocity_limits": (8.0, 1.0), "context_size": 1}
    together = built(MLPTransition, Coordinates((True, False)), 1, **limits, key=KEYS[2])
    step = eqx.filter_jit(lambda model, *x: model.step(*x))
    action = jnp.array([0.5])
    expected = step(alone, State(jnp.array([0.3]), jnp.array([-1.0])), action)
    q, qd = (np.asarray(x).item() for x in expected)
    for target in (-7.0, 0.4):
        start = State(jnp.array([0.3, target]), jnp.array([-1.0, 0.0]))
        after = step(together, start, action)
        np.testing.assert_allclose(after.q, [q, target], rtol=1e-6)
        np.testing.assert_allclose(after.qd, [qd, 0.0], rtol=1e-6)
    assert qd != -1.0
    with pytest.raises(ValueError, match="`context_size` was 1; with 1 coordinates"):
        MLPTransition(COORDINATES, 1, context_size=1, key=KEYS[2])


def test_motion_residual_vanishes_on_the_motion_only():
    system = pendulum(0.3)
    sizes = []
    for dt in (0.04, 0.02):
        data = experience(system, 64, dt)
        residual = jax.jit(jax.vmap(MotionResidual(system, dt)))(
            data.state, data.action, data.next_state
        )
        sizes.append(np.abs(residual).max())
    assert sizes[0] < 0.2
    # Differences at the midpoint are of second order.
    assert 3 < sizes[0] / sizes[1] < 5
    wrong = MotionResidual(pendulum(3.0), 0.02)
    other = jax.jit(jax.vmap(wrong))(data.state, data.action, data.next_state)
    assert np.abs(other).max() > 10 * sizes[1]


def test_governing_equations_compensate_for_missing_data():
    # Eight transitions with targets, and 256 states without.
    system, dt = pendulum(), 0.05
    few, many = experience(system, 8, dt), experience(system, 256, dt, KEYS[1])
    scale = step_scale_of(many, COORDINATES)
    data_loss = OneStepLoss(scale)
    residual = ResidualLoss(
        data_loss, MotionResidual(system, dt), jnp.array([2.0, 5.0]), weight=1.0
    )
    model = whole_steps(scale)
    # The residual scales with its weight.
    part = eqx.filter_jit(lambda loss: loss(model, few) - data_loss(model, few))
    twice = eqx.tree_at(lambda r: r.scale, residual, residual.scale / 2)
    np.testing.assert_allclose(part(twice), 4 * np.asarray(part(residual)), rtol=1e-4)

    # At this scale the data term is negligible and only the equations count.
    unlabelled = OneStepLoss(jax.tree.map(lambda x: 1e6 * x, scale))
    physics = eqx.tree_at(lambda r: r.data, residual, unlabelled)
    adam = optax.adam(5e-3)
    alone = fit(model, GradientLearner(adam, data_loss), few, key=KEYS[3], steps=400).model
    taught = fit(model, GradientLearner(adam, physics), many, key=KEYS[3], steps=400).model
    error = eqx.filter_jit(data_loss)
    assert float(error(taught, many)) < min(0.1, 0.3 * float(error(alone, many)))


@pytest.mark.parametrize("kind", ["force", "acceleration"])
def test_residual_learns_only_the_missing_part(kind):
    # Known: the frictionless pendulum. Missing: a friction of 0.5 qd.
    system, known = pendulum(0.5), pendulum()
    data, unseen = accelerations(system, 128), accelerations(system, 256, KEYS[1])
    learner = GradientLearner(optax.adam(5e-3), ForwardLoss(scale_of(data.qdd)))
    if kind == "force":
        model = built(ResidualForce, known, 1, hidden=(16,), key=KEYS[2])
    else:
        missing = built(NeuralODE, COORDINATES, 1, hidden=(16,), key=KEYS[2])
        model = ResidualAcceleration(known, missing)
    fitted = fit(model, learner, data, key=KEYS[3], steps=300).model
    assert float(eqx.filter_jit(learner.loss)(known, unseen)) > 1e-2
    assert float(eqx.filter_jit(learner.loss)(fitted, unseen)) < 1e-3
    for before, after in zip(
        jax.tree.leaves(known), jax.tree.leaves(fitted.known), strict=True
    ):
        np.testing.assert_array_equal(before, after)
    if kind == "force":
        rest, qd = jnp.array([0.0]), jnp.array([1.5])
        force = eqx.filter_jit(fitted.force)(rest, qd, rest)
        np.testing.assert_allclose(force, [-0.5 * 1.5], atol=0.15)


def test_sum_of_lagrangians_is_the_lagrangian_of_the_sum():
    with jax.enable_x64(True):
        chain = PlanarChain.rods(3, mass=1.0)
        field = ChargedParticle(
            jnp.asarray(2.0), jnp.asarray(1.5), jnp.array([0.1, 0.2, 3.0]), jnp.ones(3)
        )
        total = SumLagrangian(chain, field)

        @eqx.filter_jit
        def everything(lagrangian, motion):
            q, qd, x = motion
            return [
                lagrangian(q, qd),
                lagrangian.momentum(q, qd),
                lagrangian.energy(q, qd),
                lagrangian.mass_matrix(q, qd),
                lagrangian.forward_dynamics(q, qd, x),
                lagrangian.inverse_dynamics(q, qd, x),
                *lagrangian.forces(q, qd, x),
            ]

        motion, direct = normals(0, 3, 3), DirectSum(chain, field)
        for found, expected in zip(
            everything(total, motion), everything(direct, motion), strict=True
        ):
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("learn_known", [False, True])
def test_known_part_of_a_sum_is_learned_only_on_request(learn_known):
    total = SumLagrangian(
        Pendulum.rod(), built(DeLaN, COORDINATES, hidden=(4,), key=KEYS[0]), learn_known
    )
    x = jnp.array([0.7])

    @eqx.filter_jit
    @eqx.filter_grad
    def gradient(model):
        return model.forward_dynamics(x, x, x)[0]

    found = gradient(total)
    known = [bool(np.any(leaf)) for leaf in jax.tree.leaves(found.known)]
    assert all(known) if learn_known else not any(known)
    assert any(np.any(leaf) for leaf in jax.tree.leaves(found.learned))
