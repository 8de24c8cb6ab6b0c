"""Identification of a pendulum: its physical parameters, or networks instead."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lagdyna.learners import (
    ForwardLoss,
    GradientLearner,
    InverseLoss,
    MultiStepLoss,
    OneStepLoss,
    RewardLoss,
    fit,
    root_mean_square,
    step_scale,
)
from lagdyna.mechanics import LearnedActuation, ViscousDissipation
from lagdyna.models import DeLaN, RewardNetwork
from lagdyna.systems import Pendulum

from ..helpers import PENDULUM, built, identical, pendulum_system
from .recordings import accelerations, loss_of, recording, transition, windows, with_friction

KEY = jax.random.key(0)
ONE_STEP = OneStepLoss(step_scale(recording(0, 200), PENDULUM))
decaying = optax.cosine_decay_schedule


def only(choose, optimiser):
    """Apply `optimiser` to the chosen leaf of the Lagrangian, and freeze all others."""

    def labels(model):
        rest = jax.tree.map(lambda _: "keep", model)
        return eqx.tree_at(lambda m: choose(m.field.system.lagrangian), rest, "learn")

    return optax.multi_transform({"learn": optimiser, "keep": optax.set_to_zero()}, labels)


@pytest.mark.parametrize(("name", "truth"), [("gravity", 10.0), ("length", 1.0)])
def test_a_single_physical_parameter_is_identified(name, truth):
    choose = lambda pendulum: getattr(pendulum, name)  # noqa: E731
    wrong = eqx.tree_at(choose, Pendulum.rod(), jnp.asarray(0.7 * truth))
    model = transition(pendulum_system(lagrangian=wrong))
    learner = GradientLearner(only(choose, optax.adam(decaying(0.1 * truth, 200))), ONE_STEP)
    found = fit(model, learner, recording(0, 200), key=KEY, steps=200)
    pendulum = found.model.field.system.lagrangian
    np.testing.assert_allclose(choose(pendulum), truth, rtol=3e-3)
    identical(eqx.tree_at(choose, pendulum, choose(wrong)), wrong)


def test_all_identifiable_parameters_are_identified_at_once():
    # Motion does not identify `m`, `l` and `g`, but `g/l` and the ratios of motor gain and
    # friction coefficient to inertia: 10, 2 / (1/3) and 0.5 / (1/3).
    system = eqx.tree_at(
        lambda s: (s.actuation, s.dissipation),
        pendulum_system(lagrangian=Pendulum.rod(1.3, 0.8, 7.0)),
        (LearnedActuation(jnp.asarray([[1.0]])), ViscousDissipation(jnp.asarray([0.1]))),
    )
    data = with_friction(accelerations(0, 200))
    learner = GradientLearner(
        optax.adam(decaying(0.05, 600)), ForwardLoss(root_mean_square(data.qdd))
    )
    found = fit(system, learner, data, key=KEY, steps=600).model
    pendulum = found.lagrangian
    inertia = pendulum.mass * pendulum.length**2 / 3
    np.testing.assert_allclose(pendulum.gravity / pendulum.length, 10.0, rtol=1e-3)
    np.testing.assert_allclose(found.actuation.matrix[0, 0] / inertia, 6.0, rtol=1e-3)
    np.testing.assert_allclose(found.dissipation.coefficients / inertia, [1.5], rtol=1e-3)


def test_a_learned_reward_generalises():
    data, unseen = recording(0, 200), recording(1, 200)
    loss = RewardLoss(jnp.std(data.reward))
    model = built(RewardNetwork, PENDULUM, 1, (5.0,), hidden=(8,), key=KEY)
    learner = GradientLearner(optax.adam(decaying(0.03, 400)), loss)
    found = fit(model, learner, data, key=KEY, steps=400)
    # Predicting the mean has a loss of 1.
    assert loss_of(loss, found.model, unseen) < 0.02


def untrained() -> DeLaN:
    return built(DeLaN, PENDULUM, hidden=(16,), initial_mass=0.5, key=KEY)


LEARNING = {
    "one_step": (ONE_STEP, transition, recording(0, 200), recording(1, 200)),
    "multi_step": (
        MultiStepLoss(ONE_STEP.scale),
        transition,
        windows(0, 100, 4),
        windows(1, 100, 4),
    ),
    "forward": (
        ForwardLoss(root_mean_square(accelerations(0, 200).qdd)),
        lambda system: system,
        accelerations(0, 200),
        accelerations(1, 200),
    ),
    "inverse": (
        InverseLoss(root_mean_square(2 * accelerations(0, 200).action)),
        lambda system: system,
        accelerations(0, 200),
        accelerations(1, 200),
    ),
}


@pytest.mark.parametrize("name", LEARNING)
def test_a_learned_lagrangian_generalises(name):
    loss, wrap, data, unseen = LEARNING[name]
    model = wrap(pendulum_system(lagrangian=untrained()))
    learner = GradientLearner(optax.adam(decaying(1e-2, 500)), loss)
    found = fit(model, learner, data, key=KEY, steps=500, batch_size=32)
    held_out = loss_of(loss, found.model, unseen)
    # Predicting no change, no acceleration or no force has a loss of 1.
    assert held_out < 0.02
    assert held_out < 0.1 * loss_of(loss, model, unseen)
