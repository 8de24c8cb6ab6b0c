import functools
import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Array
from scipy.stats import norm

from lagdyna.agents import Critic, Features, Policy
from lagdyna.mechanics import Coordinates, State

from ..helpers import built, normals, random_state, randomised, shape_of

CART_POLE = Coordinates((False, True))
FEATURES = Features(CART_POLE, (2.0, 5.0))
seeds = st.integers(0, 10_000)
noises = st.floats(-5, 5)


@functools.cache
def shape(kind: type[Policy] | type[Critic], *sizes: int) -> Any:
    """A small network whose weights are yet to be drawn."""
    return shape_of(kind, FEATURES, *sizes, hidden=(6,), activation=jnp.tanh)


def random_policy(seed: int, action_size: int = 1) -> Policy:
    return randomised(shape(Policy, action_size), seed, 0.7)


@eqx.filter_jit
def distribution(policy: Policy, state: State) -> tuple[Array, Array]:
    return policy.distribution(state)


@eqx.filter_jit
def sample(policy: Policy, state: State, eps: Array) -> tuple[Array, Array]:
    return policy.sample(state, eps)


@eqx.filter_jit
def mode(policy: Policy, state: State) -> Array:
    return policy.mode(state)


@eqx.filter_jit
def called(function: Callable[[State], Array], state: State) -> Array:
    return function(state)


def random_pair(seed: int) -> State:
    q, qd, _ = random_state(seed, 2)
    return State(q, qd)


def test_features_are_embedded_positions_and_scaled_velocities() -> None:
    features = called(FEATURES, State(jnp.asarray([0.3, 1.2]), jnp.asarray([4.0, -10.0])))
    desired = [0.3, math.cos(1.2), math.sin(1.2), 2.0, -2.0]
    np.testing.assert_allclose(features, desired, rtol=1e-6)
    assert FEATURES.size == len(features)


@given(seeds)
def test_features_policies_and_critics_are_periodic_in_angles(x64: None, seed: int) -> None:
    state = random_pair(seed)
    turned = State(jnp.asarray(state.q + np.asarray([0.0, 2 * np.pi])), state.qd)
    for function in (FEATURES, random_policy(seed).mode, randomised(shape(Critic), seed)):
        np.testing.assert_allclose(
            called(function, turned), called(function, state), rtol=1e-9, atol=1e-9
        )


@given(seeds, noises)
def test_the_log_probability_accounts_for_squashing(x64: None, seed: int, eps: float) -> None:
    policy, state = random_policy(seed), random_pair(seed)
    mu, sigma = (x.item() for x in distribution(policy, state))
    action, log_probability = sample(policy, state, jnp.asarray([eps]))
    u = mu + sigma * eps
    np.testing.assert_allclose(action, [math.tanh(u)], rtol=1e-12)
    # p(action) = p(u) |du / daction|, and 1 - tanh^2 = 1 / cosh^2, which does not cancel.
    desired = norm.logpdf(u, mu, sigma) + 2 * np.log(np.cosh(u))
    np.testing.assert_allclose(log_probability, desired, rtol=1e-9, atol=1e-9)


@eqx.filter_jit
def samples(policy: Policy, state: State, eps: Array) -> tuple[Array, Array]:
    """Actions of many draws of the noise."""
    return jax.vmap(policy.sample, (None, 0))(state, eps)


@given(seeds)
def test_density_integrates_to_one(x64: None, seed: int) -> None:
    policy, state = random_policy(seed), random_pair(seed)
    eps = jnp.asarray(np.linspace(-8, 8, 4001)[:, None])
    actions, log_probabilities = samples(policy, state, eps)
    mass = np.trapezoid(np.exp(log_probabilities), np.asarray(actions)[:, 0])
    assert mass == pytest.approx(1, abs=1e-3)


@given(seeds)
def test_actions_are_independent_given_the_state(x64: None, seed: int) -> None:
    policy, state, eps = random_policy(seed, 3), random_pair(seed), normals(seed, 3)
    mu, sigma = map(np.asarray, distribution(policy, state))
    action, log_probability = sample(policy, state, eps)
    u = mu + sigma * np.asarray(eps)
    np.testing.assert_allclose(action, np.tanh(u), rtol=1e-12)
    desired = np.sum(norm.logpdf(u, mu, sigma) + 2 * np.log(np.cosh(u)))
    np.testing.assert_allclose(log_probability, desired, rtol=1e-9)


@given(seeds, st.floats(-1e6, 1e6))
def test_actions_and_gradients_are_finite_in_any_state(seed: int, far: float) -> None:
    policy, state = random_policy(seed), random_pair(seed)
    pushed, eps = State(state.q, jnp.asarray(np.asarray(state.qd) + far)), jnp.asarray([3.0])
    action, log_probability = sample(policy, pushed, eps)
    assert np.all(np.abs(mode(policy, pushed)) <= 1)
    assert np.all(np.abs(action) <= 1)
    assert np.isfinite(log_probability)
    assert np.all(np.isfinite(slope_of_log_probability(policy, pushed, eps)))


@eqx.filter_jit
def slope_of_log_probability(policy: Policy, state: State, eps: Array) -> Array:
    """Derivative by the velocities."""
    return jax.grad(lambda qd: policy.sample(State(state.q, qd), eps)[1])(state.qd)


@given(seeds)
def test_mode_is_the_sample_without_noise(seed: int) -> None:
    policy, state = random_policy(seed, 2), random_pair(seed)
    np.testing.assert_allclose(
        mode(policy, state), sample(policy, state, jnp.asarray([0.0, 0.0]))[0], rtol=1e-6
    )


def test_the_mean_is_bounded_by_3() -> None:
    """For weights of any size."""
    wild = randomised(random_policy(0, 2), 0, 100.0)
    states = State(normals(0, 100, 2), normals(1, 100, 2))
    mu, actions = eqx.filter_jit(
        jax.vmap(lambda state: (wild.distribution(state)[0], wild.mode(state)))
    )(states)
    assert 2.9 < np.max(np.abs(mu)) <= 3.0
    assert np.max(np.abs(actions)) <= np.tanh(3.0) + 1e-6


def test_sigma_begins_at_the_given_value_and_stays_positive() -> None:
    options: dict[str, Any] = {"hidden": (6,), "activation": jnp.tanh, "initial_sigma": 0.3}
    policy = built(Policy, FEATURES, 1, **options, key=jax.random.key(0))
    states = State(normals(0, 100, 2), normals(1, 100, 2))

    @eqx.filter_jit
    def sigma(policy: Policy) -> Array:
        return jax.vmap(lambda state: policy.distribution(state)[1])(states)

    np.testing.assert_allclose(sigma(policy), 0.3, atol=0.1)
    assert np.min(sigma(randomised(policy, 0, 100.0))) > 0
