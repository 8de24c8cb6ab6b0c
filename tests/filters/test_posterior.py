"""Posterior distributions: predictions, samples, intervals and calibration."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from lagdyna.filters import (
    EnsembleLearner,
    KalmanLearner,
    SigmaPointLearner,
    calibrated,
    coverage,
)
from lagdyna.learners import OneStepLoss, step_scale
from lagdyna.simulate import AbstractTransition, LagrangianField, SolvedTransition

from ..helpers import PENDULUM, normals, pendulum_system, random_delan
from ..learners.recordings import recording, transition
from ..learners.regressions import (
    Misfit,
    data,
    init,
    learned,
    linear,
    predicted,
    regression,
    split,
    update,
)

ALL = {
    "full": KalmanLearner(Misfit(), prior=2.0, noise=0.3),
    "layer": KalmanLearner(Misfit(), prior=2.0, noise=0.3, blocks="layer"),
    "low rank": KalmanLearner(Misfit(), prior=2.0, noise=0.3, rank=8),
    "cubature": SigmaPointLearner(Misfit(), prior=2.0, noise=0.3),
}

# Seeds and shapes of inputs, of a matrix and of the noise of outputs.
SAMPLES = ((0, 2000, 3), (5, 3, 2), (1, 2000, 2))

standardised = eqx.filter_jit(
    lambda posterior, batch: posterior.standardised_errors(Misfit(), batch)
)


@pytest.mark.parametrize("name", ALL)
def test_predictions_of_a_linear_model_equal_bayesian_regression(name: str, x64: None) -> None:
    learner = ALL[name]
    model, state, _ = learned(learner, linear(), [data(0)])
    mean, covariance = regression(data(0), 2.0, 0.3)
    x = normals(3, 3)
    found = predicted(learner, model, state, lambda m: m(x))
    at = np.append(x, 1.0)
    np.testing.assert_allclose(found.mean, at @ mean, atol=1e-9)
    # The outputs have separate weights of equal covariance.
    variance = at @ covariance @ at
    np.testing.assert_allclose(found.covariance, variance * np.eye(2), atol=1e-9)


@pytest.mark.parametrize("name", [*ALL, "ensemble"])
def test_samples_have_the_covariance_of_the_posterior(name: str, x64: None) -> None:
    ensemble = EnsembleLearner(Misfit(), prior=2.0, noise=0.3, members=400)
    learner = ALL.get(name, ensemble)
    model, state, _ = learned(learner, linear(), [data(0)])
    posterior = learner.posterior(model, state)
    x = normals(3, 3)
    prediction = predicted(learner, model, state, lambda m: m(x))
    models = eqx.filter_jit(posterior.sample)(jax.random.key(0), 20_000)
    outputs = np.asarray(models.matrix) @ np.asarray(x) + np.asarray(models.offset)
    deviation = np.sqrt(np.diagonal(prediction.covariance))
    np.testing.assert_allclose(outputs.mean(0), prediction.mean, atol=0.05 * deviation.max())
    np.testing.assert_allclose(
        np.cov(outputs.T), prediction.covariance, atol=0.03 * deviation.max() ** 2
    )


def test_intervals_have_their_coverage_after_calibration(x64: None) -> None:
    x, slope, noise = (np.asarray(normals(*each)) for each in SAMPLES)
    y = x @ slope + 0.5 + 0.2 * noise
    few, fitted, judged = split((x, y), 200, 1000)
    levels = np.asarray([0.5, 0.9, 0.99])
    for noise in (0.2, 0.05):
        learner = KalmanLearner(Misfit(), prior=2.0, noise=noise)
        model, state, _ = learned(learner, linear(), [few])
        posterior = learner.posterior(model, state)
        found = np.asarray(coverage(standardised(posterior, judged)))
        mended = eqx.filter_jit(calibrated)(posterior, Misfit(), fitted)
        after = np.asarray(coverage(standardised(mended, judged)))
        np.testing.assert_allclose(after, levels, atol=0.05)
        np.testing.assert_allclose(mended.noise, 0.04, rtol=0.2)
        if noise == 0.05:  # underestimated noise gives too narrow intervals
            assert found[0] < 0.35
        else:
            np.testing.assert_allclose(found, levels, atol=0.05)


def test_each_output_may_have_its_own_noise(x64: None) -> None:
    x, slope, noise = (np.asarray(normals(*each)) for each in SAMPLES)
    x, y = jnp.asarray(x), jnp.asarray(x @ slope + [0.1, 1.0] * noise)
    learner = KalmanLearner(Misfit(), prior=2.0, noise=0.7)
    model, state, _ = learned(learner, linear(), split((x, y), 500, 1000)[:2])
    posterior = learner.posterior(model, state).with_noise_of(Misfit(), (x, y))
    np.testing.assert_allclose(posterior.noise, [0.01, 1.0], rtol=0.1)
    errors = standardised(posterior, (x, y))
    np.testing.assert_allclose(coverage(errors), [0.5, 0.9, 0.99], atol=0.03)


def test_coverage_ignores_missing_errors() -> None:
    errors = jnp.asarray([0.1, 5.0, jnp.nan, jnp.nan])
    np.testing.assert_allclose(coverage(errors, (0.9,)), [0.5])


def test_samples_of_a_delan_have_positive_definite_mass() -> None:
    """Mass matrices stay positive definite for a wide posterior."""
    model = transition(pendulum_system(lagrangian=random_delan(0, (True,))))
    data = recording(0, 32)
    learner = KalmanLearner(OneStepLoss(step_scale(data, PENDULUM)), prior=3.0)
    model, state, _ = update(learner, model, init(learner, model), data)
    posterior = learner.posterior(model, state).transformed(_system)
    systems = eqx.filter_jit(posterior.sample)(jax.random.key(0), 64)
    q, qd = normals(1, 1), normals(2, 1)
    mass = eqx.filter_vmap(lambda system: system.lagrangian.mass_matrix(q, qd))
    masses = eqx.filter_jit(mass)(systems)
    assert masses.shape == (64, 1, 1)
    assert np.all(np.asarray(masses) > 0)
    assert np.ptp(np.asarray(masses)) > 0


def _system(model: AbstractTransition):
    assert isinstance(model, SolvedTransition)
    field = model.field
    assert isinstance(field, LagrangianField)
    return field.system


def test_temperature_scales_samples_and_predictions() -> None:
    learner = ALL["full"]

    @eqx.filter_jit
    def found(temperature: float) -> tuple[Array, Array]:
        cold = learner.posterior(linear(), learner.init(linear()))
        posterior = cold.tempered(temperature)
        samples = posterior.sample(jax.random.key(0), 5).matrix - linear().matrix
        return posterior.predict(lambda m: m.matrix[0, :1]).covariance, samples

    (cold, one), (warm, three) = (jax.tree.map(np.asarray, found(x)) for x in (1.0, 3.0))
    np.testing.assert_allclose(warm / cold, [[9.0]], rtol=1e-5)
    np.testing.assert_allclose(three, 3 * one, rtol=1e-4, atol=1e-5)
