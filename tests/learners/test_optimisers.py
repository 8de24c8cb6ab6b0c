import equinox as eqx
import jax
import jax.numpy as jnp
import optax
import pytest

from lagdyna.learners import make_optimiser, set_weight_decay, with_weight_decay
from lagdyna.models import Network, softplus

from ..helpers import close

RATE = optax.cosine_decay_schedule(0.1, 10, 0.01)


def network() -> Network:
    """A network whose weights are all 1."""
    made = Network(3, 2, (4, 4), softplus, key=jax.random.key(0))
    return jax.tree.map(lambda x: jnp.ones_like(x) if eqx.is_array(x) else x, made)


def decayed(name: str, strength: float, updates: int) -> Network:
    """That network after updates whose gradient is 0."""
    optimiser = with_weight_decay(make_optimiser(name, RATE, 1.0), RATE)
    weights, rest = eqx.partition(network(), eqx.is_inexact_array)
    zeros = jax.tree.map(jnp.zeros_like, weights)
    state = set_weight_decay(optimiser.init(weights), jnp.asarray(strength))
    for _ in range(updates):
        steps, state = optimiser.update(zeros, state, weights)
        weights = optax.apply_updates(weights, steps)
    return eqx.combine(weights, rest)


@pytest.mark.parametrize("name", ["adam", "sgd", "rmsprop"])
def test_weights_between_layers_decay_and_no_others(name: str):
    made = decayed(name, 0.2, 8)
    left = jnp.prod(jnp.asarray([1 - 0.2 * RATE(i) for i in range(8)]))
    for layer in made.layers:
        close(layer.weight, left * jnp.ones_like(layer.weight), 1e-6)
        assert layer.bias is not None
        assert jnp.all(layer.bias == 1)
    assert made.skip is not None
    assert jnp.all(made.skip == 1)


def test_without_strength_nothing_decays():
    assert eqx.tree_equal(decayed("adam", 0.0, 3), network())


def test_gradients_are_clipped_by_their_norm():
    optimiser = make_optimiser("sgd", 1.0, 0.5)
    gradient = jnp.asarray([3.0, 4.0])
    step, _ = optimiser.update(gradient, optimiser.init(gradient))
    close(step, jnp.asarray([-0.3, -0.4]), 1e-6)
