"""Second derivatives of a scalar network, by one sweep forward and one back.

With `z_l` the pre-activations of layer `l`, `g_l` the slope of the output with respect to
its activations, and `J_l = dz_l/dx`, the Hessian of a multi-layer perceptron is exactly

    d2y/dx2 = sum_l J_l' diag(g_l activation''(z_l)) J_l

so `k` directions cost one sweep forward for the value, `k` more for `J_l v`, and one sweep
back for `g_l`. Differentiating a gradient forward, the general way, sweeps each direction
back as well.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from ._activation import Activation
from ._network import Network


class SecondOrder(NamedTuple):
    """A scalar network's value and derivatives at a point.

    **Attributes:**

    - `value`: the output.
    - `gradient`: with respect to the input, shape `(in,)`.
    - `curvature`: `v_i' (d2y/dx2) v_j` for directions `v`, shape `(k, k)`, symmetric.
    """

    value: Scalar
    gradient: Float[Array, " in"]
    curvature: Float[Array, "k k"]


def second_order(
    network: Network, x: Float[Array, " in"], directions: Float[Array, "k in"]
) -> SecondOrder:
    """Value, gradient and curvature along `directions` of a network with one output."""
    h, tangents = x, directions
    sweep = []
    for layer in network.layers[:-1]:
        assert layer.bias is not None
        # One product carries all the directions through a layer's weights.
        tangents = tangents @ layer.weight.T
        h, slope, bend = _derivatives(network.activation, layer.weight @ h + layer.bias)
        sweep.append((layer.weight, tangents, slope, bend))
        tangents = slope * tangents
    last = network.layers[-1]
    assert last.bias is not None
    value = (last.weight @ h + last.bias)[0]
    gradient = last.weight[0]
    curvature = jnp.zeros((directions.shape[0],) * 2, x.dtype)
    for weight, tangents, slope, bend in reversed(sweep):
        curvature += (tangents * (gradient * bend)) @ tangents.T
        gradient = (gradient * slope) @ weight
    if network.skip is not None:
        value, gradient = value + network.skip[0] @ x, gradient + network.skip[0]
    return SecondOrder(value, gradient, curvature)


def _derivatives(
    activation: Activation, z: Float[Array, " width"]
) -> tuple[Float[Array, " width"], Float[Array, " width"], Float[Array, " width"]]:
    """An activation, its slope and its second derivative."""
    ones = jnp.ones_like(z)

    def with_slope(z: Array) -> tuple[Array, Array]:
        return jax.jvp(activation, (z,), (ones,))

    (value, slope), (_, bend) = jax.jvp(with_slope, (z,), (ones,))
    return value, slope, bend
