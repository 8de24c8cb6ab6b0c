import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna.models import softplus

EVERYWHERE = np.concatenate([np.linspace(-30, 30, 241), [-1e4, -200.0, 200.0, 1e4]])


def derivative(f, order: int):
    for _ in range(order):
        f = jax.grad(f)
    return jax.jit(jax.vmap(f))


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_softplus_and_its_derivatives_match_jax(order, tolerance):
    x = jnp.asarray(EVERYWHERE)
    expected = derivative(jax.nn.softplus, order)(x)
    # The error is absolute, except on the linear branch for large inputs.
    rounding = 10 * jnp.finfo(x.dtype).eps
    np.testing.assert_allclose(derivative(softplus, order)(x), expected, rounding, rounding)


def test_softplus_is_differentiated_forwards_over_backwards(x64):
    x, ones = jnp.asarray(EVERYWHERE), jnp.ones(len(EVERYWHERE))
    slope = jax.grad(lambda x: softplus(x).sum())
    _, curvature = jax.jit(lambda x: jax.jvp(slope, (x,), (ones,)))(x)
    s = 1 / (1 + np.exp(-EVERYWHERE.clip(-500, 500)))
    np.testing.assert_allclose(curvature, s * (1 - s), atol=1e-15)
