"""Learners of the learning curves with their settings, and the training loop."""

import functools
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, Real, Scalar

from ...config import given
from ...data import Experience
from ...learners import AbstractLearner, GradientLearner, OneStepLoss
from ...parts import (
    AdamConfig,
    BlockEKFConfig,
    Budget,
    CKFConfig,
    DiagonalEKFConfig,
    EKFConfig,
    EnsembleConfig,
    LearnerConfig,
    LowRankEKFConfig,
    ParticleConfig,
    UKFConfig,
)
from ...simulate import AbstractTransition
from ._problem import TASKS, Problem

_POINTS = 40  # evaluations of a training


def _same(config: LearnerConfig) -> Mapping[str, LearnerConfig]:
    return dict.fromkeys(TASKS, config)


# Learner and task: options, of Adam those that `make_learner` uses.
SETTINGS: Mapping[str, Mapping[str, LearnerConfig]] = MappingProxyType(
    {
        "adam": {
            "pendulum": AdamConfig(updates=10_000, batch=64, rate=1e-2),
            "acrobot": AdamConfig(updates=10_000, batch=64, rate=1e-2),
            "cart2pole": AdamConfig(updates=20_000, batch=64, rate=5e-3),
        },
        "ekf": {
            "pendulum": EKFConfig(updates=200, batch=16, prior=1.0, noise=1e-2),
            "acrobot": EKFConfig(updates=600, batch=16, prior=0.1, fading=0.99),
            "cart2pole": EKFConfig(updates=600, batch=16, prior=0.1, fading=0.98),
        },
        "ekf-block": {
            "pendulum": BlockEKFConfig(updates=400, batch=16, prior=0.3, fading=0.98),
            "acrobot": BlockEKFConfig(updates=800, batch=16, prior=0.1, fading=0.99),
            "cart2pole": BlockEKFConfig(updates=800, batch=16, prior=0.1, fading=0.98),
        },
        "ekf-diagonal": _same(DiagonalEKFConfig(updates=800, batch=16, prior=0.1, fading=0.98)),
        "ekf-lowrank": {
            "pendulum": LowRankEKFConfig(updates=400, batch=16, prior=0.3, fading=0.98),
            "acrobot": LowRankEKFConfig(updates=800, batch=16, prior=0.1, fading=0.99),
            "cart2pole": LowRankEKFConfig(updates=800, batch=16, prior=0.1, fading=0.98),
        },
        "ckf": _same(CKFConfig(updates=200, batch=16, prior=0.05)),
        "ukf": _same(UKFConfig(updates=200, batch=16, prior=0.05)),
        "enkf": _same(EnsembleConfig(updates=400, batch=16, prior=0.3)),
        "pf": _same(ParticleConfig(updates=100, batch=16, prior=0.1)),
    }
)
LEARNERS = tuple(SETTINGS)


@functools.cache
def _adam(rate: float, updates: int) -> optax.GradientTransformation:
    """Create Adam; seeds share the object and so the programs compiled for it."""
    return optax.adam(optax.cosine_decay_schedule(rate, updates, 1e-3))


def make_learner(config: LearnerConfig, loss: OneStepLoss) -> AbstractLearner:
    """Build a filter from its config; Adam without clipping, its rate falling further."""
    if isinstance(config, AdamConfig):
        return GradientLearner(_adam(config.rate, given(config.updates)), loss)
    return config.build(loss, Budget(given(config.updates)))


@eqx.filter_jit
def advance(
    learner: AbstractLearner,
    carry: tuple[PyTree, PyTree],
    data: Experience,
    rows: Scalar,
    key: PRNGKeyArray,
    start: Scalar,
    stop: Scalar,
    batch: int,
) -> tuple[PyTree, PyTree]:
    """Apply updates number `start` to `stop` on random ones of the first `rows` rows.

    The program is compiled once, whatever the numbers are.
    """
    arrays, static = eqx.partition(carry, eqx.is_array)

    def body(i: Array, arrays: PyTree) -> PyTree:
        model, state = eqx.combine(arrays, static)
        chosen = jax.random.randint(jax.random.fold_in(key, i), (batch,), 0, rows)
        model, state, _ = learner.update(model, state, jax.tree.map(lambda x: x[chosen], data))
        return eqx.filter((model, state), eqx.is_array)

    return eqx.combine(jax.lax.fori_loop(start, stop, body, arrays), static)


@eqx.filter_jit
def model_error(model: AbstractTransition, loss: OneStepLoss, data: Experience) -> Scalar:
    """Compute the root mean square error of one step, in units of the usual change."""
    return jnp.sqrt(loss(model, data))


def checkpoints(updates: int) -> np.ndarray:
    """Space the numbers of updates with an evaluation evenly on a log axis."""
    return np.unique(np.geomspace(1, updates, min(_POINTS, updates)).round().astype(int))


class Curve(NamedTuple):
    """Learning curve.

    **Attributes:** after each of `updates`, the `error` on unseen data, and the `seconds` of
    updates alone, without compiling, making data or evaluating.
    """

    updates: np.ndarray
    error: np.ndarray
    seconds: np.ndarray


def train(config: LearnerConfig, problem: Problem, rows: int) -> Curve:
    """Train on the first `rows` of the data, and evaluate on the unseen ones."""
    learner, batch = make_learner(config, problem.loss), given(config.batch)
    fixed = (problem.data, jnp.asarray(rows), problem.key)
    number = lambda i: jnp.asarray(i, jnp.int32)  # noqa: E731
    carry = (problem.model, learner.init(problem.model))
    # The first call compiles, so it is not timed; its result is dropped.
    jax.block_until_ready(advance(learner, carry, *fixed, number(0), number(2), batch))
    at, errors, seconds = checkpoints(given(config.updates)), [], []
    done, elapsed = 0, 0.0
    for stop in at.tolist():
        began = time.perf_counter()
        carry = jax.block_until_ready(
            advance(learner, carry, *fixed, number(done), number(stop), batch)
        )
        elapsed += time.perf_counter() - began
        done = stop
        errors.append(float(model_error(carry[0], problem.loss, problem.unseen)))
        seconds.append(elapsed)
    return Curve(at, np.asarray(errors), np.asarray(seconds))


def first_below(
    at: Real[np.ndarray, " points"], error: Float[np.ndarray, " points"], target: float
) -> float:
    """Find the first of `at` with an error at or below the target; `nan` if there is none."""
    reached = np.flatnonzero(error <= target)
    return float(at[reached[0]]) if reached.size else float("nan")
