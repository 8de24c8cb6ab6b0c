"""Levenberg-Marquardt: its steps, and the errors of all squared losses."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from lagdyna.learners import (
    AbstractSquaredLoss,
    ForwardLoss,
    InverseLoss,
    LevenbergMarquardtLearner,
    MotionResidual,
    MultiStepLoss,
    OneStepLoss,
    ResidualLoss,
    RewardLoss,
    _jacobian_factor,
    _least_squares,
    fit,
    jacobian_factor,
    undetermined,
)
from lagdyna.mechanics import State
from lagdyna.models import GivenReward, Network

from ..helpers import built, identical, normals, pendulum_system
from .recordings import accelerations, recording, transition, true_reward, windows

KEY = jax.random.key(0)
SCALE = State(jnp.asarray([0.7]), jnp.asarray([3.0]))


class Misfit(AbstractSquaredLoss[Network, tuple[Array, Array]]):
    def __call__(self, model: Network, batch: tuple[Array, Array]) -> Array:
        return jnp.mean(jnp.sum(jax.vmap(self.errors, (None, 0))(model, batch) ** 2, axis=-1))

    def errors(self, model: Network, row: tuple[Array, Array]) -> Array:
        x, y = row
        return model(x) - y


class Linear(AbstractSquaredLoss[Array, tuple[Array, Array]]):
    def __call__(self, model: Array, batch: tuple[Array, Array]) -> Array:
        return jnp.mean((batch[0] @ model - batch[1]) ** 2)

    def errors(self, model: Array, row: tuple[Array, Array]) -> Array:
        return (row[0] @ model - row[1])[None]


def data(seed: int, rows: int = 50) -> tuple[Array, Array]:
    x = np.random.default_rng(seed).normal(size=(rows, 3))
    y = np.stack([np.sin(x[:, 0]) + x[:, 1] * x[:, 2], x[:, 2] ** 2], axis=-1)
    return jnp.asarray(x), jnp.asarray(y)


def network(*hidden: int) -> Network:
    return built(Network, 3, 2, hidden, jnp.tanh, linear=False, key=jax.random.key(0))


init = eqx.filter_jit(lambda learner, model: learner.init(model))
misfit = eqx.filter_jit(lambda model, batch: Misfit()(model, batch))
update = eqx.filter_jit(lambda learner, *x: learner.update(*x))


def flattened(model: Network) -> np.ndarray:
    """Concatenate the weights of a model."""
    leaves = jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))
    return np.concatenate([np.ravel(each) for each in leaves])


def test_one_undamped_step_solves_a_linear_problem(x64: None) -> None:
    x, y = data(0)
    learner = LevenbergMarquardtLearner(Misfit(), damping=1e-14)
    linear = network()
    found, _, _ = update(learner, linear, init(learner, linear), (x, y))
    design = np.concatenate([np.asarray(x), np.ones((len(x), 1))], axis=1)
    expected = np.linalg.lstsq(design, np.asarray(y), rcond=None)[0]
    np.testing.assert_allclose(found.layers[0].weight, expected[:-1].T, atol=1e-9)
    np.testing.assert_allclose(found.layers[0].bias, expected[-1], atol=1e-9)


def test_a_step_is_the_damped_gauss_newton_step(x64: None) -> None:
    model, batch, damping = network(4), data(1), 30.0
    learner = LevenbergMarquardtLearner(Misfit(), damping=damping)
    weights, rest = eqx.partition(model, eqx.is_inexact_array)

    @jax.jit
    def step() -> tuple[Array, Array, Array]:
        flat, unravel = ravel_pytree(weights)

        def errors(flat: Array) -> Array:
            each = jax.vmap(Misfit().errors, (None, 0))(eqx.combine(unravel(flat), rest), batch)
            return each.reshape(-1)

        return flat, errors(flat), jax.jacfwd(errors)(flat)

    flat, e, jacobian = (np.asarray(x) for x in step())
    normal = jacobian.T @ jacobian
    damped = normal + damping * np.diag(np.diag(normal))
    expected = flat - np.linalg.solve(damped, jacobian.T @ e)
    found, _, metrics = update(learner, model, init(learner, model), batch)
    got = flattened(found)
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    np.testing.assert_allclose(metrics["loss"], e @ e / 50, rtol=1e-12)
    assert float(misfit(found, batch)) < float(metrics["loss"])


def test_chunks_and_many_weights_give_the_same_step(
    monkeypatch: pytest.MonkeyPatch, x64: None
) -> None:
    model, batch, learner = network(4), data(2), LevenbergMarquardtLearner(Misfit())

    def found() -> np.ndarray:
        # Another function each time, so that it is traced with the sizes of that time.
        step = eqx.filter_jit(lambda model: learner.update(model, learner.init(model), batch))
        return flattened(step(model)[0])

    whole = found()
    # Chunks of seven rows, and a last one of a single row.
    monkeypatch.setattr(_jacobian_factor, "_MAX_SIZE", 7 * 2 * (whole.size + 1))
    np.testing.assert_allclose(found(), whole, rtol=1e-9, atol=1e-12)
    monkeypatch.setattr(_least_squares, "_MAX_JACOBIAN_SIZE", 7 * 2 * whole.size)
    monkeypatch.setattr(_least_squares, "FEW_WEIGHTS", 0)
    np.testing.assert_allclose(found(), whole, rtol=1e-7, atol=1e-10)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("precise", [True, False])
def test_precise_steps_tell_directions_that_single_precision_does_not(
    monkeypatch: pytest.MonkeyPatch, precise: bool
) -> None:
    monkeypatch.setattr(_least_squares, "FEW_WEIGHTS", 0)
    rng = np.random.default_rng(3)
    left, right = (np.linalg.qr(rng.normal(size=shape))[0] for shape in ((60, 8), (8, 8)))
    design = (left * np.geomspace(1, 1e-5, 8)) @ right.T
    true = rng.normal(size=8)
    batch = (jnp.asarray(design, jnp.float32), jnp.asarray(design @ true, jnp.float32))
    learner = LevenbergMarquardtLearner(Linear(), damping=1e-12, precise=precise)
    weights = jnp.asarray(np.zeros(8, np.float32))
    found, state, _ = update(learner, weights, init(learner, weights), batch)
    assert found.dtype == state.damping.dtype == jnp.float32
    error = np.abs(np.asarray(found) - true).max()
    assert error < 0.05 if precise else not error < 0.05


def test_undetermined_directions_are_left_as_they_are(x64: None) -> None:
    # The second weight acts only together with the third; the fourth hardly acts at all.
    inputs, noise = np.asarray(normals(6, 40, 3)), np.asarray(normals(7, 40, 1))
    design = inputs @ np.array([[1.0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1e-3]])
    target = design @ np.array([0.5, 1, 2, 0]) + 0.1 * noise[:, 0]
    batch = (jnp.asarray(design), jnp.asarray(target))
    start = jnp.asarray([0.0, 0.4, -0.2, 0.3])
    learner = LevenbergMarquardtLearner(Linear(), tolerance=1e-12, physical=True)
    found = fit(start, learner, batch, key=KEY, steps=30, batch_size=None)
    expected = np.linalg.lstsq(design[:, :2], target)[0]
    weights = np.asarray(found.model)
    np.testing.assert_allclose(weights[0], expected[0], atol=1e-4)
    np.testing.assert_allclose(weights[1] + weights[2], expected[1], atol=1e-4)
    np.testing.assert_allclose(weights[1] - weights[2], 0.6, atol=1e-9)
    np.testing.assert_allclose(weights[3], 0.3, atol=1e-2)
    factor = eqx.filter_jit(lambda *x: jacobian_factor(Linear().errors, *x))
    directions, held = undetermined(*factor(found.model, batch))
    assert np.asarray(held).tolist() == [False, False, True, True]
    along = np.asarray(directions)[2:] @ np.array([1.0, 1, 1, 0])
    np.testing.assert_allclose(along, 0, atol=1e-3)
    # It has converged long before, and further updates change nothing.
    assert bool(found.state.converged)
    assert len(set(np.asarray(found.metrics["loss"])[-10:].tolist())) == 1


def test_loss_decreases_monotonically(tolerance: float) -> None:
    model, learner = network(10), LevenbergMarquardtLearner(Misfit())
    fitted = fit(model, learner, data(3), key=jax.random.key(0), steps=60, batch_size=None)
    losses = np.asarray(fitted.metrics["loss"])
    assert np.all(np.diff(losses) <= 1e-6 * losses[:-1])
    assert losses[-1] < 1e-3 * losses[0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_non_finite_batch_is_skipped(bad: float) -> None:
    x, y = data(4)
    learner, model = LevenbergMarquardtLearner(Misfit()), network(4)
    state = init(learner, model)
    damaged = np.array(x)
    damaged[3, 1] = bad
    found, after, metrics = update(learner, model, state, (jnp.asarray(damaged), y))
    assert float(metrics["skipped"]) == 1
    identical(found, model)
    identical(after, state)
    found, _, metrics = update(learner, found, after, (x, y))
    assert float(metrics["skipped"]) == 0
    assert float(misfit(found, (x, y))) < float(metrics["loss"])


def test_an_update_at_a_minimum_stays_there() -> None:
    x, _ = data(5)
    model = network(3)
    batch = x, eqx.filter_jit(lambda model: jax.vmap(model)(x))(model)
    learner = LevenbergMarquardtLearner(Misfit())
    found, _, metrics = update(learner, model, init(learner, model), batch)
    assert float(metrics["skipped"]) == 0
    assert float(misfit(found, batch)) < 1e-10


NAMES = ("one-step", "multi-step", "forward", "inverse", "reward", "residual")


def losses() -> dict[str, Any]:
    model, system = transition(), pendulum_system(1.5)
    one = OneStepLoss(SCALE)
    experience, mask = windows(0, 6, 4)
    whole = experience, jnp.ones_like(mask)
    known = ResidualLoss(one, MotionResidual(pendulum_system(1.5), 0.05), jnp.ones(2), 0.3)
    return {
        "one-step": (one, model, recording(1, 20)),
        "multi-step": (MultiStepLoss(SCALE), model, whole),
        "forward": (ForwardLoss(jnp.asarray([2.0])), system, accelerations(0, 20)),
        "inverse": (InverseLoss(jnp.asarray([2.0])), system, accelerations(0, 20)),
        "reward": (
            RewardLoss(jnp.asarray(3.0)),
            GivenReward(lambda *x: 1.1 * true_reward(*x)),
            recording(1, 20),
        ),
        "residual": (known, model, recording(1, 20)),
    }


@pytest.mark.parametrize("name", NAMES)
def test_loss_equals_mean_squared_errors(name: str, x64: None) -> None:
    loss, model, batch = losses()[name]

    @eqx.filter_jit
    def both() -> tuple[Array, Array]:
        errors = jax.vmap(loss.errors, (None, 0))(model, batch)
        return loss(model, batch), jnp.mean(jnp.sum(errors**2, axis=-1))

    found, expected = both()
    assert float(found) > 0
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_errors_beyond_the_end_of_a_window_are_zero() -> None:
    experience, _ = windows(0, 3, 4)
    mask = jnp.asarray([[1.0, 1, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]])
    loss, model, batch = MultiStepLoss(SCALE), transition(), (experience, mask)
    errors, mean = eqx.filter_jit(
        lambda model: (jax.vmap(loss.errors, (None, 0))(model, batch), loss(model, batch))
    )(model)
    errors = np.asarray(errors).reshape(3, 4, 2)
    np.testing.assert_array_equal(np.any(errors != 0, axis=-1), np.asarray(mask) > 0)
    # With a mask, the loss is the mean over the observed steps.
    ratio = np.sum(errors**2) / 3 / np.mean(mask)
    np.testing.assert_allclose(mean, ratio, rtol=1e-4)
