from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lagdyna.agents import lambda_returns

TIME, BATCH = 7, 3
fractions = st.floats(0, 1)
numbers = hnp.arrays(np.float64, (2, TIME, BATCH), elements=st.floats(-100, 100))


returns_of = jax.jit(lambda_returns)  # one program for all discounts


def by_hand(
    rewards: np.ndarray, values: np.ndarray, gamma: Any, lambda_: float, t: int = 0
) -> np.ndarray:
    """The recursion of Ramesh & Ravindran (2023), from step `t` on."""
    next_return = (
        values[t] if t == TIME - 1 else by_hand(rewards, values, gamma, lambda_, t + 1)
    )
    own = gamma if isinstance(gamma, float) else gamma[t]
    return rewards[t] + own * ((1 - lambda_) * values[t] + lambda_ * next_return)


@given(numbers, fractions, fractions)
def test_returns_obey_the_recursion(
    x64: None, arrays: np.ndarray, gamma: float, lambda_: float
) -> None:
    rewards, values = arrays
    returns = np.asarray(returns_of(rewards, values, gamma, lambda_))
    for t in range(TIME):
        desired = by_hand(rewards, values, gamma, lambda_, t)
        np.testing.assert_allclose(returns[t], desired, rtol=1e-12, atol=1e-10)


@given(numbers, hnp.arrays(np.float64, (TIME, BATCH), elements=fractions), fractions)
def test_each_step_may_have_its_own_discount(
    x64: None, arrays: np.ndarray, gammas: np.ndarray, lambda_: float
) -> None:
    rewards, values = arrays
    returns = np.asarray(returns_of(rewards, values, gammas, lambda_))
    for t in range(TIME):
        desired = by_hand(*arrays, gammas, lambda_, t)
        np.testing.assert_allclose(returns[t], desired, rtol=1e-12, atol=1e-10)
    steps = np.arange(TIME)[:, None]
    ended = np.where(steps == 3, 0.0, gammas)
    others = np.where(steps >= 4, 7.0, rewards), np.where(steps >= 3, 9.0, values)
    cut, whole = (returns_of(*each, ended, lambda_) for each in (others, arrays))
    np.testing.assert_array_equal(
        np.asarray(cut)[:4], np.asarray(whole)[:4]
    )  # nothing counts after the end


@given(numbers, fractions)
def test_lambda_0_is_the_one_step_return(x64: None, arrays: np.ndarray, gamma: float) -> None:
    rewards, values = arrays
    returns = returns_of(rewards, values, gamma, 0.0)
    np.testing.assert_allclose(returns, rewards + gamma * values, rtol=1e-12, atol=1e-10)


@given(numbers, fractions)
def test_lambda_1_is_the_return_of_the_whole_rollout(
    x64: None, arrays: np.ndarray, gamma: float
) -> None:
    rewards, values = arrays
    returns = np.asarray(returns_of(rewards, values, gamma, 1.0))
    for t in range(TIME):
        steps = np.arange(TIME - t)
        discounted = (gamma ** steps[:, None] * rewards[t:]).sum(axis=0)
        desired = discounted + gamma ** (TIME - t) * values[-1]
        np.testing.assert_allclose(returns[t], desired, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("shape", [(1,), (4,), (4, 2), (4, 2, 3)])
def test_any_batch_shape_is_accepted(shape: tuple[int, ...]) -> None:
    both = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    returns = np.asarray(returns_of(*both, 0.9, 0.5))
    assert returns.shape == shape
    flat = returns_of(*both.reshape(2, shape[0], -1), 0.9, 0.5)
    np.testing.assert_array_equal(returns.reshape(flat.shape), flat)
