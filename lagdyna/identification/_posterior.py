"""Posterior of a fit by a filter, and its calibration on validation data."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ..config import FitConfig
from ..filters import LEVELS, AbstractFilter, AbstractPosterior, calibrated, coverage
from ..learners import AbstractSquaredLoss, FrozenLoss, Parametrisation, physical, received
from ..simulate import LearnedModel
from ..tasks import Plant
from ._evaluation import Report, finite
from ._problem import FitProblem, some_rows
from ._state import (
    FitState,
    any_loss,
    budget_of,
    parametrisation,
    partition_learned,
    with_learned_part,
)

_ROWS = 1000  # rows of data for the calibration


def model_posterior(
    config: FitConfig, plant: Plant, state: FitState, report: Report | None
) -> AbstractPosterior[LearnedModel] | None:
    """Build the posterior of the learned model.

    **Arguments:** `plant`, of the fit; `report`, whose noise and temperature it gets;
    `None` if the fit is not finished.

    **Returns:** `None` if the learner is no filter.
    """
    coordinates = parametrisation(config, plant)
    posterior = _posterior(config, state, coordinates)
    if posterior is None:
        return None
    found = None if report is None else report.get("calibration")
    if found is not None:
        noise = jnp.asarray(found["noise"])
        posterior = posterior.with_noise(noise).tempered(found["temperature"])
    _, frozen = partition_learned(config, state.transition)

    def whole(free: PyTree) -> LearnedModel:
        learned = eqx.combine(physical(free, coordinates), frozen)
        return LearnedModel(with_learned_part(config.loss, state.transition, learned))

    return posterior.transformed(whole)


def _posterior(
    config: FitConfig, state: FitState, coordinates: Parametrisation | None
) -> AbstractPosterior[Any] | None:
    """Build the posterior of the free parameters; `None` if the learner is no filter."""
    loss = any_loss(state.transition.coordinates.n)
    learner = config.learner.build(loss, budget_of(config))
    if not isinstance(learner, AbstractFilter):
        return None
    free, _ = partition_learned(config, state.transition)
    return learner.posterior(received(free, coordinates), state.learner_state)


def calibration(problem: FitProblem, state: FitState) -> Report | None:
    """Measure how well the posterior's intervals cover validation data.

    The noise is found with training data, the temperature with every other row of the
    validation data. The coverage is that of the remaining rows.

    **Returns:** `None` if there is no posterior, too few rows, or nothing is finite.
    """
    config = problem.config
    coordinates = parametrisation(config, problem.plant)
    posterior = _posterior(config, state, coordinates)
    if posterior is None:
        return None
    _, frozen = partition_learned(config, state.transition)
    loss = FrozenLoss(problem.loss, frozen, coordinates)
    some = some_rows(problem.validation, _ROWS, config.seed)
    even, odd = (jax.tree.map(lambda x, i=i: x[i::2], some) for i in (0, 1))
    if len(jax.tree.leaves(odd)[0]) == 0:
        return None
    training = some_rows(problem.training, _ROWS, config.seed)
    return _calibration(posterior, loss, training, even, odd)


def _calibration(
    posterior: AbstractPosterior,
    loss: AbstractSquaredLoss,
    training: Any,
    fitted: Any,
    evaluated: Any,
) -> Report | None:
    """Compute noise, temperature and coverage, each from its own data.

    **Arguments:** `training`, for the noise of each output; `fitted`, for the temperature and
    a factor of that noise; `evaluated`, for the coverage with and without the temperature.
    """
    posterior = eqx.filter_jit(lambda p, *data: p.with_noise_of(*data))(
        posterior, loss, training
    )
    tempered = eqx.filter_jit(calibrated)(posterior, loss, fitted)
    errors = {
        name: eqx.filter_jit(each.standardised_errors)(loss, evaluated)
        for name, each in (("coverage", tempered), ("coverage_untempered", posterior))
    }
    temperature = finite(float(tempered.temperature))
    if temperature is None or not np.all(np.isfinite(np.asarray(tempered.noise))):
        return None
    return {
        "temperature": temperature,
        "noise": jnp.asarray(tempered.noise).tolist(),
        "levels": list(LEVELS),
        **{name: coverage(z).tolist() for name, z in errors.items()},
    }
