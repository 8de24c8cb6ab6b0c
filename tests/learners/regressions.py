"""Linear models with closed-form solutions, and a small network, for tests of learners."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from lagdyna.filters import AbstractFilter
from lagdyna.learners import AbstractSquaredLoss
from lagdyna.models import Network

from ..helpers import normals

update = eqx.filter_jit(lambda learner, *x: learner.update(*x))


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


def linear(inputs: int = 3, outputs: int = 2) -> Linear:
    return Linear(0.1 * normals(7, outputs, inputs), jnp.zeros(outputs))


def data(seed: int, rows: int = 12, outputs: int = 2) -> tuple[Array, Array]:
    x = normals(seed, rows, 3)
    return x, x @ normals(5, 3, outputs) + 0.5 + 0.1 * normals(seed + 100, rows, outputs)


def learned(learner: AbstractFilter, model, batches):
    state = learner.init(model)
    for batch in batches:
        model, state, metrics = update(learner, model, state, batch)
    return model, state, metrics


def split(batch: tuple[Array, Array], *at: int) -> list[tuple[Array, Array]]:
    return list(zip(*(jnp.split(x, at) for x in batch), strict=True))


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
    return Network(3, 2, (8,), jnp.tanh, key=jax.random.key(0))


def nonlinear(seed: int, rows: int = 32) -> tuple[Array, Array]:
    x = normals(seed, rows, 3)
    return x, jnp.stack([jnp.sin(x[:, 0]), x[:, 1] * x[:, 2]], axis=-1)
