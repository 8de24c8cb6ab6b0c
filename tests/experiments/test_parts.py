import equinox as eqx
import jax
import jax.numpy as jnp
import optax
import pytest

from lagdyna.experiments._parts import decaying, falling, make_optimiser, with_decay
from lagdyna.models import Network, softplus

from ..helpers import close


def network() -> Network:
    """All of it ones."""
    made = Network(3, 2, (4, 4), softplus, key=jax.random.key(0))
    return jax.tree.map(lambda x: jnp.ones_like(x) if eqx.is_array(x) else x, made)


def after(name: str, strength: float, rate: optax.Schedule, updates: int) -> Network:
    """That network after updates without any gradient."""
    optimiser = with_decay(make_optimiser(name, rate, 1.0), rate)
    weights, rest = eqx.partition(network(), eqx.is_inexact_array)
    none = jax.tree.map(jnp.zeros_like, weights)
    state = decaying(optimiser.init(weights), jnp.asarray(strength))
    for _ in range(updates):
        steps, state = optimiser.update(none, state, weights)
        weights = optax.apply_updates(weights, steps)
    return eqx.combine(weights, rest)


@pytest.mark.parametrize("name", ["adam", "sgd", "rmsprop"])
def test_what_decays_is_what_lies_between_the_layers(name: str):
    rate = falling(0.1, 10)
    made = after(name, 0.2, rate, 8)
    kept = jnp.prod(jnp.asarray([1 - 0.2 * rate(i) for i in range(8)]))
    for layer in made.layers:
        close(layer.weight, kept * jnp.ones_like(layer.weight), 1e-6)
        assert layer.bias is not None
        assert jnp.all(layer.bias == 1)
    assert made.skip is not None
    assert jnp.all(made.skip == 1)


def test_nothing_decays_without_strength():
    assert eqx.tree_equal(after("adam", 0.0, falling(0.1, 10), 3), network())
