import functools
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna.models import Network

from ..helpers import built, close, identical, normals, randomised, shape_of

run = eqx.filter_jit(lambda network, x: network(x))


@functools.cache
def network(hidden=(7, 6), linear=True, output_scale=1.0) -> Network:
    key = jax.random.key(0)
    options = {"output_scale": output_scale, "linear": linear}
    return built(Network, 3, 2, hidden, jnp.tanh, **options, key=key)


def drawn() -> Network:
    shape = shape_of(Network, 3, 2, (7, 6), jnp.tanh)
    return randomised(shape, 0)


@pytest.mark.parametrize("hidden", [(), (6,), (7, 6, 6)])
def test_output_size_is_independent_of_the_hidden_layers(hidden):
    net = network(hidden)
    assert run(net, normals(0, 3)).shape == (2,)
    sizes = [layer.weight.shape for layer in net.layers]
    widths = (3, *hidden, 2)
    assert sizes == [(b, a) for a, b in itertools.pairwise(widths)]


def test_linear_part_adds_its_matrix_times_the_input(tolerance):
    net, matrix, x = drawn(), normals(1, 2, 3), normals(2, 3)
    tilted = eqx.tree_at(lambda n: n.skip, net, matrix)
    difference = run(tilted, x) - run(net, x)
    close(difference, (matrix - net.skip) @ x, tolerance)


def test_linear_part_is_zero_at_the_start():
    with_linear, without = network(), network(linear=False)
    assert without.skip is None
    identical(run(with_linear, normals(0, 3)), run(without, normals(0, 3)))


def test_linear_part_is_learned():
    gradient = eqx.filter_jit(eqx.filter_grad(lambda net, x: jnp.sum(net(x))))
    x = normals(0, 3)
    close(gradient(network(), x).skip, np.ones((2, 1)) * x, 1e-6)


def test_hidden_layers_are_those_of_a_multilayer_perceptron(tolerance):
    net, x = drawn(), normals(1, 3)
    h = np.asarray(x)
    for layer in net.layers[:-1]:
        h = np.tanh(layer.weight @ h + layer.bias)
    expected = net.layers[-1].weight @ h + net.layers[-1].bias + net.skip @ x
    close(run(net, x), expected, tolerance)


def test_output_scale_scales_the_first_outputs():
    x = normals(0, 3)
    close(run(network(output_scale=0.1), x), 0.1 * run(network(), x), 1e-6)


def test_different_keys_give_different_weights():
    other = built(Network, 3, 2, (7, 6), jnp.tanh, key=jax.random.key(1))
    assert (other.layers[0].weight != network().layers[0].weight).all()


def test_initial_activations_keep_their_size_through_wide_layers():
    net = built(Network, 200, 200, (200, 200), lambda x: x, key=jax.random.key(0))
    x = normals(0, 200)
    assert 0.5 < jnp.std(run(net, x)) / jnp.std(x) < 2
