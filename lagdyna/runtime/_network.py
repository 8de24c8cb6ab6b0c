"""Policy networks in NumPy."""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float

from ._contract import Contract
from ._predictor import rescaled
from ._reading import Spaces, read_arrays


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


ACTIVATIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "tanh": np.tanh,
    "softplus": _softplus,
    "silu": lambda x: x * _sigmoid(x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "relu": lambda x: np.maximum(x, 0),
}
"""Activations by their name in a contract."""


def network_policy(
    contract: Contract, arrays: Mapping[str, np.ndarray]
) -> Callable[[Float[np.ndarray, "*batch obs"]], Float[np.ndarray, "*batch m"]]:
    """Make the function from observations to actions of a policy network.

    **Arguments:** `contract`, of the format `npz`; `arrays`, those of its file.
    """
    facts, reading, spaces = contract.network, contract.reading, spaces_of(contract)
    assert facts is not None
    assert reading is not None
    linear, angles = arrays["linear"].T, arrays["angles"].T
    position, velocity = arrays["position_scale"], arrays["velocity_scale"]
    layers = [(arrays[f"weight{i}"].T, arrays[f"bias{i}"]) for i in range(facts.layers)]
    activation, bound = ACTIVATIONS[facts.activation], facts.bound
    links = arrays.get("link_lengths")

    def act(observation: np.ndarray) -> np.ndarray:
        q, qd = read_arrays(reading, observation)
        q, qd = q.astype(linear.dtype) / position, qd.astype(linear.dtype) / velocity
        turned = q @ angles
        parts = [q @ linear, np.cos(turned), np.sin(turned)]
        if links is not None:
            parts.append(_to_target(q, links))
        h = np.concatenate([*parts, qd], axis=-1)
        for weight, bias in layers[:-1]:
            h = activation(h @ weight + bias)
        weight, bias = layers[-1]
        mu = h @ weight + bias
        if bound is not None:
            mu = bound * np.tanh(mu / bound)
        return rescaled(np.tanh(mu), spaces)

    return act


def _to_target(q: np.ndarray, links: np.ndarray) -> np.ndarray:
    """Compute the vector from tip to target and their distance, for any batch."""
    directions = np.cumsum(q[..., :-2], axis=-1)
    tip = np.stack([np.cos(directions) @ links, np.sin(directions) @ links], axis=-1)
    vector = (q[..., -2:] - tip) / links.sum()
    distance = np.sqrt(np.sum(vector**2, axis=-1, keepdims=True) + 0.01**2)
    return np.concatenate([vector, distance], axis=-1)


def spaces_of(contract: Contract) -> Spaces:
    """Spaces of the environment of an exported policy."""
    observation, action = contract.inputs[0], contract.outputs[0]
    estimated = 0 if contract.reading is None else contract.reading.estimated
    bounds = tuple(zip(action.low, action.high, strict=True))
    return Spaces(observation.shape[0] - estimated, bounds)
