"""Untrained models that a config names, for training runs and fits alike."""

from typing import Any

from jaxtyping import PRNGKeyArray

from ..mechanics import AbstractLagrangian, Coordinates, State
from ..models import LNN, DeLaN
from ..simulate import MLPTransition
from ._config import ModelConfig
from ._fit_config import FitModelConfig
from ._parts import ACTIVATIONS


def network_options(model: ModelConfig | FitModelConfig, key: PRNGKeyArray) -> dict[str, Any]:
    """What the networks of every model are built with."""
    return {"hidden": model.hidden, "activation": ACTIVATIONS[model.activation], "key": key}


def make_lagrangian(
    model: ModelConfig | FitModelConfig,
    coordinates: Coordinates,
    speeds: tuple[float, ...],
    key: PRNGKeyArray,
) -> AbstractLagrangian:
    """The Lagrangian that `delan` or `lnn` names.

    **Arguments:** `speeds`, the usual magnitude of each velocity.
    """
    options = network_options(model, key)
    if model.name == "delan":
        return DeLaN(coordinates, initial_mass=model.initial_mass, **options)
    assert model.name == "lnn"
    return LNN(coordinates, velocity_scale=speeds, **options)


def make_mlp(
    model: ModelConfig | FitModelConfig,
    coordinates: Coordinates,
    actions: int,
    speeds: tuple[float, ...],
    key: PRNGKeyArray,
    *,
    scale: State | None = None,
    velocity_limits: tuple[float, ...] | None = None,
    held: int = 0,
) -> MLPTransition:
    """The network for a whole step that `mlp` and `constrained-mlp` name.

    **Arguments:** `actions`, how wide they are; `speeds` as for `make_lagrangian`; `scale`,
    `velocity_limits` and `held` as for [`lagdyna.simulate.MLPTransition`][].
    """
    return MLPTransition(
        coordinates,
        actions,
        scale=scale,
        velocity_scale=speeds,
        velocity_limits=velocity_limits,
        held=held,
        **network_options(model, key),
    )
