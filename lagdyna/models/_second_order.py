"""Second derivatives of a scalar network by one forward and one backward sweep.

Let `z_l` be the pre-activations of layer `l`, `g_l` the gradient of the output with respect to
its activations, and `J_l = dz_l/dx`. The Hessian of a multi-layer perceptron is exactly

    d2y/dx2 = sum_l J_l' diag(g_l activation''(z_l)) J_l

For `k` directions this costs one forward sweep for the value, `k` for `J_l v`, and one backward
sweep for `g_l`. Forward-over-reverse differentiation also needs a backward sweep for each
direction.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from ._activation import Activation
from ._network import Network


class SecondOrder(NamedTuple):
    """Value and derivatives of a scalar network at a point.

    **Attributes:**

    - `value`: the output, a scalar.
    - `gradient`: gradient with respect to the input, shape `(in,)`.
    - `curvature`: `v_i' (d2y/dx2) v_j` for directions `v`, shape `(k, k)`, symmetric.
    """

    value: Scalar
    gradient: Float[Array, " in"]
    curvature: Float[Array, "k k"]


def second_order(
    network: Network, x: Float[Array, " in"], directions: Float[Array, "k in"]
) -> SecondOrder:
    """Compute value, gradient and curvature of a network with one output.

    **Arguments:**

    - `network`: a network with `out_size` 1.
    - `x`: input, shape `(in,)`.
    - `directions`: directions of the curvature, shape `(k, in)`.
    """
    h, tangents = x, directions
    sweep = []
    for layer in network.layers[:-1]:
        assert layer.bias is not None
        # One matrix product propagates all directions through the layer.
        tangents = tangents @ layer.weight.T
        h, slope, second = _derivatives(network.activation, layer.weight @ h + layer.bias)
        sweep.append((layer.weight, tangents, slope, second))
        tangents = slope * tangents
    last = network.layers[-1]
    assert last.bias is not None
    value = (last.weight @ h + last.bias)[0]
    gradient = last.weight[0]
    curvature = jnp.zeros((directions.shape[0],) * 2, x.dtype)
    for weight, tangents, slope, second in reversed(sweep):
        curvature += (tangents * (gradient * second)) @ tangents.T
        gradient = (gradient * slope) @ weight
    if network.skip is not None:
        value, gradient = value + network.skip[0] @ x, gradient + network.skip[0]
    return SecondOrder(value, gradient, curvature)


def _derivatives(
    activation: Activation, z: Float[Array, " width"]
) -> tuple[Float[Array, " width"], Float[Array, " width"], Float[Array, " width"]]:
    """Compute an activation and its first and second derivatives."""
    ones = jnp.ones_like(z)

    def with_slope(z: Array) -> tuple[Array, Array]:
        return jax.jvp(activation, (z,), (ones,))

    (value, slope), (_, second) = jax.jvp(with_slope, (z,), (ones,))
    return value, slope, second
