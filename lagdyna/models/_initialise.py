import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from ._network import Network


def cranmer_initialisation(network: Network, key: PRNGKeyArray) -> Network:
    """Initialise a Lagrangian network as in Cranmer et al. (2020, appendix B).

    Biases are zero and weights are drawn from `N(0, sigma^2)`. For hidden layers of width `n`,
    `sigma` is `2.2/sqrt(n)` for the first layer, `0.58 i/sqrt(n)` for hidden layer `i`
    (1, 2, ...) and `sqrt(n)` for the last layer. If widths differ, `n` is the layer's output
    width; for the last layer it is the input width.

    **Returns:** the network with new weights. Its linear part, which the paper does not have,
    is unchanged.
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
