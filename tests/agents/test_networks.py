import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from lagdyna.agents import Critic, Features, Policy
from lagdyna.mechanics import Coordinates, State

from ..helpers import normals, random_state, randomised

CART_POLE = Coordinates((False, True))
FEATURES = Features(CART_POLE, (2.0, 5.0))
seeds = st.integers(0, 10_000)
noises = st.floats(-5, 5)


def random_policy(seed: int, action_size: int = 1) -> Policy:
    policy = Policy(
        FEATURES, action_size, hidden=(6,), activation=jnp.tanh, key=jax.random.key(0)
    )
    return randomised(policy, seed, 0.7)


def random_pair(seed: int) -> State:
    q, qd, _ = random_state(seed, 2)
    return State(q, qd)


def test_features_are_embedded_positions_and_scaled_velocities() -> None:
    features = FEATURES(State(jnp.asarray([0.3, 1.2]), jnp.asarray([4.0, -10.0])))
    desired = [0.3, math.cos(1.2), math.sin(1.2), 2.0, -2.0]
    np.testing.assert_allclose(features, desired, rtol=1e-6)
    assert FEATURES.size == len(features)


@given(seeds)
def test_features_policies_and_critics_are_periodic_in_angles(x64: None, seed: int) -> None:
    state = random_pair(seed)
    turned = State(state.q + jnp.asarray([0.0, 2 * jnp.pi]), state.qd)
    critic = Critic(FEATURES, hidden=(6,), activation=jnp.tanh, key=jax.random.key(0))
    critic = randomised(critic, seed)
    for function in (FEATURES, random_policy(seed).mode, critic):
        np.testing.assert_allclose(function(turned), function(state), rtol=1e-9, atol=1e-9)


@given(seeds, noises)
def test_the_log_probability_accounts_for_squashing(x64: None, seed: int, eps: float) -> None:
    policy, state = random_policy(seed), random_pair(seed)
    mu, sigma = (float(x[0]) for x in policy.distribution(state))
    action, log_probability = policy.sample(state, jnp.asarray([eps]))
    u = mu + sigma * eps
    np.testing.assert_allclose(action, [math.tanh(u)], rtol=1e-12)
    # p(action) = p(u) |du / daction|, and 1 - tanh^2 = 1 / cosh^2, which does not cancel.
    desired = norm.logpdf(u, mu, sigma) + 2 * np.log(np.cosh(u))
    np.testing.assert_allclose(log_probability, desired, rtol=1e-9, atol=1e-9)


@given(seeds)
def test_density_integrates_to_one(x64: None, seed: int) -> None:
    policy, state = random_policy(seed), random_pair(seed)
    eps = jnp.linspace(-8, 8, 4001)[:, None]
    actions, log_probabilities = jax.vmap(policy.sample, (None, 0))(state, eps)
    mass = np.trapezoid(np.exp(log_probabilities), actions[:, 0])
    assert mass == pytest.approx(1, abs=1e-3)


@given(seeds)
def test_actions_are_independent_given_the_state(x64: None, seed: int) -> None:
    policy, state, eps = random_policy(seed, 3), random_pair(seed), normals(seed, 3)
    mu, sigma = policy.distribution(state)
    action, log_probability = policy.sample(state, eps)
    u = np.asarray(mu + sigma * eps)
    np.testing.assert_allclose(action, np.tanh(u), rtol=1e-12)
    desired = np.sum(norm.logpdf(u, mu, sigma) + 2 * np.log(np.cosh(u)))
    np.testing.assert_allclose(log_probability, desired, rtol=1e-9)


@given(seeds, st.floats(-1e6, 1e6))
def test_actions_and_gradients_are_finite_in_any_state(seed: int, far: float) -> None:
    policy, state = random_policy(seed), random_pair(seed)
    pushed = State(state.q, state.qd + far)

    def log_probability(qd: jax.Array) -> jax.Array:
        return policy.sample(State(state.q, qd), jnp.asarray([3.0]))[1]

    assert np.all(np.abs(policy.mode(pushed)) <= 1)
    assert np.all(np.abs(policy.sample(pushed, jnp.asarray([3.0]))[0]) <= 1)
    assert np.all(np.isfinite(log_probability(pushed.qd)))
    assert np.all(np.isfinite(jax.grad(log_probability)(pushed.qd)))


@given(seeds)
def test_mode_is_the_sample_without_noise(seed: int) -> None:
    policy, state = random_policy(seed, 2), random_pair(seed)
    np.testing.assert_allclose(
        policy.mode(state), policy.sample(state, jnp.zeros(2))[0], rtol=1e-6
    )


def test_the_mean_is_bounded_by_3() -> None:
    """For weights of any size."""
    wild = randomised(random_policy(0, 2), 0, 100.0)
    states = State(normals(0, 100, 2), normals(1, 100, 2))
    mu = jax.vmap(lambda q, qd: wild.distribution(State(q, qd))[0])(*states)
    actions = jax.vmap(lambda q, qd: wild.mode(State(q, qd)))(*states)
    assert 2.9 < np.max(np.abs(mu)) <= 3.0
    assert np.max(np.abs(actions)) <= np.tanh(3.0) + 1e-6


def test_sigma_begins_at_the_given_value_and_stays_positive() -> None:
    policy = Policy(
        FEATURES,
        1,
        hidden=(6,),
        activation=jnp.tanh,
        initial_sigma=0.3,
        key=jax.random.key(0),
    )
    untrained = jax.vmap(lambda seed: policy.distribution(State(*seed))[1])
    states = State(normals(0, 100, 2), normals(1, 100, 2))
    np.testing.assert_allclose(untrained(tuple(states)), 0.3, atol=0.1)
    wild = randomised(policy, 0, 100.0)
    sigma = jax.vmap(lambda q, qd: wild.distribution(State(q, qd))[1])(*states)
    assert np.min(sigma) > 0
