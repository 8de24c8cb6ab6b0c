"""Linear models with closed-form solutions, and a small network, for tests of learners."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from lagdyna.filters import AbstractFilter
from lagdyna.learners import AbstractSquaredLoss
from lagdyna.models import Network

from ..helpers import built

init = eqx.filter_jit(lambda learner, model: learner.init(model))
update = eqx.filter_jit(lambda learner, *x: learner.update(*x))
predicted = eqx.filter_jit(
    lambda learner, model, state, function: learner.posterior(model, state).predict(function)
)


class Linear(eqx.Module):
    """Linear model `y = matrix x + offset`."""

    matrix: Array
    offset: Array

    def __call__(self, x: Array) -> Array:
        return self.matrix @ x + self.offset


class Misfit(AbstractSquaredLoss[eqx.Module, tuple[Array, Array]]):
    """Mean squared error of the outputs, without scales."""

    def __call__(self, model: eqx.Module, batch: tuple[Array, Array]) -> Array:
        return jnp.mean(jnp.sum(jax.vmap(self.errors, (None, 0))(model, batch) ** 2, -1))

    def errors(self, model: eqx.Module, row: tuple[Array, Array]) -> Array:
        x, y = row
        return (model(x) - y) / jnp.sqrt(y.shape[0])  # type: ignore[operator]


misfit = eqx.filter_jit(lambda model, batch: Misfit()(model, batch))


def with_missing(y: Array, *where: Any) -> Array:
    """Replace the entries `y[where]` by nan."""
    y = np.array(y)
    y[where] = np.nan
    return jax.device_put(y)


def linear(inputs: int = 3, outputs: int = 2) -> Linear:
    matrix = 0.1 * np.random.default_rng(7).normal(size=(outputs, inputs))
    return jax.device_put(Linear(matrix, np.zeros(outputs)))


def data(seed: int, rows: int = 12, outputs: int = 2) -> tuple[Array, Array]:
    """Noisy outputs of a linear map, in the precision that is switched on."""
    x = np.random.default_rng(seed).normal(size=(rows, 3))
    slope = np.random.default_rng(5).normal(size=(3, outputs))
    noise = np.random.default_rng(seed + 100).normal(size=(rows, outputs))
    return jax.device_put((x, x @ slope + 0.5 + 0.1 * noise))


def learned(learner: AbstractFilter, model, batches):
    state = init(learner, model)
    for batch in batches:
        model, state, metrics = update(learner, model, state, batch)
    return model, state, metrics


def split(batch: tuple[Array, Array], *at: int) -> list[tuple[Array, Array]]:
    parts = (jax.device_put(np.split(np.asarray(x), at)) for x in batch)
    return list(zip(*parts, strict=True))


def regression(
    batch: tuple[Array, Array], prior: float, noise: float, forget: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Solve Bayesian linear regression of each output on `(x, 1)` by its normal equations.

    With forgetting, the weight of a row and of the prior decays with its age.

    **Returns:** the mean weights and their covariance.
    """
    x, y = (np.asarray(each) for each in batch)
    design = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    start = np.concatenate([np.asarray(linear().matrix), np.zeros((2, 1))], axis=1)
    age = forget ** np.arange(len(x))[::-1]
    before = forget ** len(x) / prior**2
    precision = (design.T * age) @ design / noise**2 + before * np.eye(design.shape[1])
    right = (design.T * age) @ y / noise**2 + before * start.T
    return np.linalg.solve(precision, right), np.linalg.inv(precision)


def network() -> Network:
    return built(Network, 3, 2, (8,), jnp.tanh, key=jax.random.key(0))


def nonlinear(seed: int, rows: int = 32) -> tuple[Array, Array]:
    x = np.random.default_rng(seed).normal(size=(rows, 3))
    y = np.stack([np.sin(x[:, 0]), x[:, 1] * x[:, 2]], axis=-1)
    return jax.device_put((x, y))
