"""Structure, loss and learner of a DeLaN of many joints, where they are left open."""

import dataclasses
import warnings

import equinox as eqx
import jax
import msgspec
from jaxtyping import PyTree

from .._errors import UserError
from ..config import FitConfig, given
from ..data import DataError
from ..learners import AbstractSquaredLoss, FrozenLoss, fit
from ..parts import (
    AdamConfig,
    AutoLossConfig,
    Budget,
    DeLaNConfig,
    ForwardLossConfig,
    InverseLossConfig,
    LevenbergMarquardtConfig,
)
from ._data import coordinates_of, read_recordings
from ._state import FitState, learned_part, partition_part, with_learned_part

# Least number of angles that are taken for those of a chain.
_JOINTS = 3

# Learner of the matrices of a chain. Hundreds of rows of several forces tell them, and many
# directions of them change nothing.
_LEARNER = LevenbergMarquardtConfig(
    updates=200, batch=640, damping=1e-5, tolerance=3e-3, precise=True
)

# Updates before these. From random matrices, Levenberg-Marquardt steps often come to a place
# where the loss hardly falls for hundreds of updates; small random steps pass it.
_START = AdamConfig(updates=8000, batch=256, rate=1e-2)


def with_structure(config: FitConfig) -> FitConfig:
    """Choose the structure of a DeLaN by the recordings, and what learns a chain.

    Recorded forces are compared, and accelerations estimated if they are missing.

    **Raises:** `UserError` if the recordings cannot be read.
    """
    model, data = config.model, config.data
    if not isinstance(model, DeLaNConfig) or model.structure == "network":
        return config
    angles = data.angle_indices
    if model.structure is None and angles != "all" and len(angles) < _JOINTS:
        return config
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `prepare` reads again and takes notes
            recorded = read_recordings(data)
    except DataError as error:
        raise UserError(str(error)) from error
    angles = coordinates_of(data, recorded.n).angles
    if model.structure is None:
        chain = len(angles) >= _JOINTS and all(angles)
        model = msgspec.structs.replace(model, structure="chain" if chain else "network")
    config = dataclasses.replace(config, model=model)
    if model.structure == "network" or config.signals.learned:
        return config
    loss, learner = config.loss, config.learner
    forces = data.control in (None, "tau") and "tau" in recorded.fields
    if isinstance(loss, AutoLossConfig) and forces:
        loss = InverseLossConfig()
    compared = isinstance(loss, InverseLossConfig | ForwardLossConfig)
    if compared and learner == AdamConfig():
        learner = _LEARNER
    return dataclasses.replace(config, loss=loss, learner=learner)


def chain_start(
    config: FitConfig, loss: AbstractSquaredLoss, training: PyTree, state: FitState
) -> FitState:
    """Improve the random matrices of a chain before Levenberg-Marquardt steps.

    **Arguments:** `config`, which is resolved; `loss`, `training`, those of the fit.

    **Returns:** the state; the given one of any other model or learner.
    """
    model, learner = config.model, config.learner
    if not isinstance(model, DeLaNConfig) or model.structure != "chain":
        return state
    if not isinstance(learner, LevenbergMarquardtConfig) or not learner.precise:
        return state
    part = learned_part(config.loss, state.transition)
    free, frozen = partition_part(part, model.fixed_parameters())
    updates = given(_START.updates)
    adam = _START.build(FrozenLoss(loss, frozen), Budget(updates, 1.0, config.seed, False))
    key = jax.random.fold_in(jax.random.key(config.seed), 1)
    started = fit(free, adam, training, key=key, steps=updates, batch_size=_START.batch)
    part = eqx.combine(started.model, frozen)
    return state._replace(transition=with_learned_part(config.loss, state.transition, part))
