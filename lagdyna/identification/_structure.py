"""Structure, loss and learner of a DeLaN of many joints, where they are left open."""

import dataclasses
import warnings

import msgspec

from .._errors import UserError
from ..config import FitConfig
from ..data import DataError
from ..parts import (
    AdamConfig,
    AutoLossConfig,
    DeLaNConfig,
    ForwardLossConfig,
    InverseLossConfig,
    LevenbergMarquardtConfig,
)
from ._data import coordinates_of, read_recordings

# Least number of angles that are taken for those of a chain.
_JOINTS = 3

# Learner of the matrices of a chain. Hundreds of rows of several forces tell them, and many
# directions of them change nothing.
_LEARNER = LevenbergMarquardtConfig(updates=200, batch=640, tolerance=1e-4, precise=True)


def with_structure(config: FitConfig) -> FitConfig:
    """Choose the structure of a DeLaN by the recordings, and what learns a chain.

    Recorded forces are compared, and accelerations estimated if they are missing.

    **Raises:** `UserError` if the recordings cannot be read.
    """
    model, data = config.model, config.data
    if not isinstance(model, DeLaNConfig) or model.structure == "network":
        return config
    if model.structure is None and data.angle_indices != "all":
        if len(data.angle_indices) < _JOINTS:
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
