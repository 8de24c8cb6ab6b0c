import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from ._network import Network


def cranmer_weights(network: Network, key: PRNGKeyArray) -> Network:
    """The initialisation of Lagrangian networks of Cranmer et al. (2020, appendix B).

    Zero biases and weights from `N(0, sigma^2)`: with `n` the width of the hidden layers,
    `sigma` is `2.2/sqrt(n)` for the first layer, `0.58 i/sqrt(n)` for the `i`-th of the
    layers between hidden ones, `sqrt(n)` for the last. Where widths differ, `n` is that
    of the layer's own output, for the last layer of its input.

    **Returns:** the network with other weights. Its linear part, which the paper's has
    not, is left at zero.
    """
    keys = jax.random.split(key, len(network.layers))
    layers = []
    for i, (layer, layer_key) in enumerate(zip(network.layers, keys, strict=True)):
        fan_out, fan_in = layer.weight.shape
        if i == len(network.layers) - 1:
            sigma = math.sqrt(fan_in)
        else:
            sigma = (2.2 if i == 0 else 0.58 * i) / math.sqrt(fan_out)
        weight = sigma * jax.random.normal(layer_key, layer.weight.shape)
        assert layer.bias is not None
        bias = jnp.zeros_like(layer.bias)
        layers.append(eqx.tree_at(lambda m: (m.weight, m.bias), layer, (weight, bias)))
    return eqx.tree_at(lambda m: m.layers, network, tuple(layers))
