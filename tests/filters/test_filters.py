"""Derivative-free filters, and the robustness of all filters."""

import dataclasses
from typing import get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Array

from lagdyna.filters import (
    AbstractFilter,
    Blocks,
    EnsembleLearner,
    KalmanLearner,
    ParticleLearner,
    SigmaPointLearner,
)
from lagdyna.learners import fit

from ..helpers import identical
from ..learners.regressions import (
    Linear,
    Misfit,
    data,
    init,
    learned,
    linear,
    misfit,
    network,
    nonlinear,
    predicted,
    regression,
    split,
    update,
    with_missing,
)

FILTERS = {
    **{blocks: KalmanLearner(Misfit(), blocks=blocks) for blocks in get_args(Blocks)},
    "low rank": KalmanLearner(Misfit(), rank=16),
    "cubature": SigmaPointLearner(Misfit()),
    "unscented": SigmaPointLearner(Misfit(), alpha=0.1, beta=2.0),
    "ensemble": EnsembleLearner(Misfit(), members=32),
    "particles": ParticleLearner(Misfit(), particles=32),
}


# Equal parts, since every number of rows is another program.
@pytest.mark.parametrize("cuts", [(6,), tuple(range(1, 12))])
@pytest.mark.parametrize(
    "points", [{}, {"alpha": 0.3, "beta": 2.0}, {"alpha": 0.5, "beta": 0.0, "kappa": 1.0}]
)
def test_sigma_points_equal_bayesian_regression_on_a_linear_model(
    points: dict[str, float], cuts: tuple[int, ...], x64: None
) -> None:
    learner = SigmaPointLearner(Misfit(), prior=2.0, noise=0.3, fading=0.95, **points)
    model, state, metrics = learned(learner, linear(), split(data(0), *cuts))
    kalman = KalmanLearner(Misfit(), prior=2.0, noise=0.3, fading=0.95)
    exact, exact_state, exact_metrics = learned(kalman, linear(), split(data(0), *cuts))
    np.testing.assert_allclose(model.matrix, exact.matrix, atol=1e-9)
    root = np.asarray(state.belief.root)
    np.testing.assert_allclose(root @ root.T, exact_state.belief.blocks[0][0], atol=1e-9)
    np.testing.assert_allclose(metrics["log_evidence"], exact_metrics["log_evidence"])


def test_sigma_points_give_the_mean_and_variance_of_a_square(x64: None) -> None:
    """`y = w^2` with `w` from N(1, 0.25): mean 1.25 and variance 1.125, by hand."""

    class Square(eqx.Module):
        w: Array

        def __call__(self, x: Array) -> Array:
            return x * self.w**2

    learner = SigmaPointLearner(Misfit(), prior=0.5, noise=0.1, alpha=1.0, beta=2.0)
    model = Square(jnp.asarray(1.0))
    batch = (jnp.asarray([[1.0]]), jnp.asarray([[2.0]]))
    after, _, metrics = update(learner, model, init(learner, model), batch)
    variance = 1.125 + 0.01
    evidence = -0.5 * (np.log(2 * np.pi * variance) + (2.0 - 1.25) ** 2 / variance)
    np.testing.assert_allclose(metrics["log_evidence"], evidence, rtol=1e-12)
    # The covariance of w and w^2 is twice w's variance.
    np.testing.assert_allclose(after.w, 1 + 0.5 / variance * (2.0 - 1.25), rtol=1e-12)


def test_ensemble_update_equals_the_kalman_update_of_its_covariance(x64: None) -> None:
    learner = EnsembleLearner(Misfit(), prior=2.0, noise=0.3, members=20)
    start = np.asarray(init(learner, linear()).belief)
    np.testing.assert_allclose(start.mean(axis=0), 0, atol=1e-12)
    prior = np.cov(start, rowvar=False)
    model, state, _ = learned(learner, linear(), split(data(0), 6))
    x, y = (np.asarray(each) for each in data(0))
    design = np.zeros((24, 8))  # both outputs of each row, in the order of the weights
    design[0::2, 0:3], design[0::2, 6] = x, 1
    design[1::2, 3:6], design[1::2, 7] = x, 1
    weights = np.concatenate([np.asarray(linear().matrix).ravel(), np.zeros(2)])
    covariance = design @ prior @ design.T + 0.09 * np.eye(24)
    gain = prior @ design.T @ np.linalg.inv(covariance)
    mean = weights + gain @ (y.ravel() - design @ weights)
    np.testing.assert_allclose(np.ravel(model.matrix), mean[:6], atol=1e-9)
    np.testing.assert_allclose(
        np.cov(np.asarray(state.belief), rowvar=False), prior - gain @ design @ prior, atol=1e-9
    )


def test_particles_find_the_posterior_of_a_line(x64: None) -> None:
    learner = ParticleLearner(Misfit(), prior=1.0, noise=0.5, particles=20_000)
    x = np.linspace(-1, 1, 12)[:, None]
    batch = (jnp.asarray(x), jnp.asarray(0.7 * x + 0.3))
    model = Linear(jnp.asarray([[0.0]]), jnp.asarray([0.0]))
    model, state, _ = learned(learner, model, split(batch, 3, 6, 9))
    design = np.concatenate([x, np.ones((12, 1))], axis=1)
    covariance = np.linalg.inv(design.T @ design / 0.25 + np.eye(2))
    mean = covariance @ design.T @ np.asarray(batch[1])[:, 0] / 0.25
    found = [np.asarray(each).item() for each in (model.matrix, model.offset)]
    np.testing.assert_allclose(found, mean, atol=0.03)
    particles = np.asarray(state.belief.deviations)
    spread = particles.T @ (np.exp(state.belief.log_probability)[:, None] * particles)
    np.testing.assert_allclose(spread, covariance, atol=0.015)


def test_particles_represent_both_modes(x64: None) -> None:
    """The data `y = w^2 = 1` leave the sign open, so that the posterior is bimodal."""

    class Square(eqx.Module):
        w: Array

        def __call__(self, x: Array) -> Array:
            return x * self.w**2

    learner = ParticleLearner(Misfit(), prior=1.0, noise=0.1, particles=4000)
    model = Square(jnp.asarray(0.0))
    batch = (jnp.asarray([[1.0]]), jnp.asarray([[1.0]]))
    model, state, _ = learned(learner, model, [batch] * 3)
    sample = eqx.filter_jit(learner.posterior(model, state).sample)
    drawn = np.asarray(sample(jax.random.key(0), 500).w)
    near = np.minimum(np.abs(drawn - 1), np.abs(drawn + 1))
    assert np.mean(near < 0.2) > 0.9
    assert 0.3 < np.mean(drawn > 0) < 0.7


@pytest.mark.parametrize("name", ["low rank", "cubature", "unscented", "ensemble"])
def test_every_filter_learns_a_network(name: str) -> None:
    learner = FILTERS[name]
    first = float(misfit(network(), nonlinear(99)))
    batches = [nonlinear(seed) for seed in range(40)]
    model, _, metrics = learned(learner, network(), batches)
    assert float(misfit(model, nonlinear(99))) < 0.6 * first
    assert float(metrics["skipped"]) == 0


@pytest.mark.parametrize("name", FILTERS)
def test_a_batch_of_missing_entries_is_skipped(name: str) -> None:
    learner, model = FILTERS[name], network()
    x, y = nonlinear(7)
    state = init(learner, model)
    found, after, metrics = update(learner, model, state, (x, with_missing(y)))
    identical((found, after), (model, state))
    assert float(metrics["skipped"]) == 1


@pytest.mark.parametrize("name", ["low rank", "cubature", "ensemble", "particles"])
def test_rows_of_missing_entries_have_no_effect(name: str, x64: None) -> None:
    learner = eqx.tree_at(lambda f: f.repeats, FILTERS[name], 1.0)
    x, y = data(6)
    with_gaps, _, _ = learned(learner, linear(), [(x, with_missing(y, slice(8, None)))])
    without, _, _ = learned(learner, linear(), split((x, y), 8)[:1])
    np.testing.assert_allclose(with_gaps.matrix, without.matrix, atol=1e-9)


@given(
    kind=st.sampled_from(["duplicates", "constant", "outlier", "infinite", "zero"]),
    name=st.sampled_from(list(FILTERS)),
    seed=st.integers(0, 3),
)
def test_weights_stay_finite_on_damaged_data(kind: str, name: str, seed: int) -> None:
    batch = nonlinear(seed)
    x, y = (np.array(each) for each in batch)
    if kind in ("outlier", "infinite"):
        y[3, 0] = 1e12 if kind == "outlier" else np.inf
    else:
        x[:] = {"duplicates": x[0], "constant": 1.0, "zero": 0.0}[kind]
        y[:] = {"duplicates": y[0], "constant": 1.0, "zero": 0.0}[kind]
    damaged = (jnp.asarray(x), jnp.asarray(y))
    batches = [damaged, batch, damaged, batch]
    model, state, metrics = learned(FILTERS[name], network(), batches)
    weights = eqx.filter(model, eqx.is_inexact_array)
    # The log probability of a particle may be minus infinity.
    known = state.noise if name == "particles" else state
    for leaf in jax.tree.leaves((weights, known, metrics)):
        assert np.all(np.isfinite(leaf))


@pytest.mark.parametrize(
    "learner",
    [
        SigmaPointLearner(Misfit(), noise=0.3),
        KalmanLearner(Misfit(), noise=0.3, rank=8),
        KalmanLearner(Misfit(), noise=0.3),
    ],
)
def test_covariance_is_accurate_after_many_float32_updates(
    learner: AbstractFilter,
) -> None:
    x, _ = batch = data(0)
    times, rows = 4000, 4
    fitted = fit(linear(), learner, batch, key=jax.random.key(0), steps=times, batch_size=rows)
    assert not np.any(fitted.metrics["skipped"])
    design = np.concatenate([np.asarray(x), np.ones((len(x), 1))], axis=1)
    counted = times * rows / len(x) * design.T @ design / 0.09 + np.eye(4)
    found = predicted(learner, fitted.model, fitted.state, lambda m: m.matrix[0]).covariance
    expected = np.diagonal(np.linalg.inv(counted))[:3]
    np.testing.assert_allclose(np.diagonal(found), expected, rtol=0.1)


@pytest.mark.parametrize("name", ["full", "layer", "low rank", "cubature", "ensemble"])
def test_repeated_passes_do_not_change_the_posterior(name: str) -> None:
    """Float32, with a weight on which the data have no influence."""
    x, y = data(0)
    batch = (jnp.asarray(np.asarray(x) * [1.0, 1.0, 0.0]), y)

    def deviations(times: int) -> np.ndarray:
        learner = dataclasses.replace(FILTERS[name], noise=0.05, repeats=float(times))
        fitted = fit(
            linear(), learner, batch, key=jax.random.key(0), steps=times, batch_size=None
        )
        assert not np.any(fitted.metrics["skipped"])
        found = predicted(learner, fitted.model, fitted.state, lambda m: m.matrix[0])
        return np.sqrt(np.diagonal(found.covariance))

    # One pass gives the posterior of Bayesian regression, up to the sample of an ensemble.
    exact = np.sqrt(np.diagonal(regression(batch, 1.0, 0.05)[1]))[:3]
    once = deviations(1) if name == "ensemble" else exact
    np.testing.assert_allclose(deviations(400), once, rtol=0.05)


@pytest.mark.parametrize("process", [1e-5, 1e-3])
def test_low_rank_with_process_noise_stays_definite_on_informative_data(process: float) -> None:
    learner = KalmanLearner(Misfit(), rank=5, noise=0.01, process=process, prior=10.0)
    fitted = fit(linear(), learner, data(0), key=jax.random.key(0), steps=300, batch_size=4)
    assert not np.any(fitted.metrics["skipped"])


@pytest.mark.parametrize("name", ["cubature", "ensemble", "particles"])
def test_a_model_that_is_not_finite_far_from_the_mean_is_learned(
    name: str,
) -> None:
    class Fragile(eqx.Module):
        w: Array

        def __call__(self, x: Array) -> Array:
            return jnp.where(jnp.abs(self.w) < 1.5, self.w * x, jnp.inf)

    learner = dataclasses.replace(FILTERS[name], noise=0.1)
    x = np.linspace(-1, 1, 8)[:, None]
    batch = (jnp.asarray(x), jnp.asarray(0.6 * x))
    model, _, metrics = learned(learner, Fragile(jnp.asarray([0.0])), [batch] * 8)
    assert float(metrics["skipped"]) == 0
    np.testing.assert_allclose(model.w, [0.6], atol=0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SigmaPointLearner(Misfit(), alpha=2.0), "`alpha` must be above 0 and at most"),
        (lambda: SigmaPointLearner(Misfit(), kappa=-1.0), "`kappa` must not be negative"),
        (lambda: EnsembleLearner(Misfit(), members=1), "`members` must be at least 2, got 1"),
        (lambda: ParticleLearner(Misfit(), particles=1), "`particles` must be at least 2"),
        (
            lambda: ParticleLearner(Misfit(), kernel=1.0),
            "`kernel` must be at least 0",
        ),
        (lambda: KalmanLearner(Misfit(), rank=0), "`rank` must be positive, got 0"),
        (lambda: EnsembleLearner(Misfit(), prior=0.0), "`prior` must be positive, got 0.0"),
    ],
)
def test_invalid_options_raise_by_name(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
