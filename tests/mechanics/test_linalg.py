"""Tests of unrolled and library routines for small matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna.mechanics import linalg

SIZES = [1, 2, 3, 4, 5, 8, 9]  # on both sides of the unrolling limits


def positive(n: int) -> jax.Array:
    a = jax.random.normal(jax.random.key(n), (n, n))
    return a @ a.T + 0.1 * jnp.eye(n)


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("n", SIZES)
def test_the_triangular_factor_reproduces_the_matrix(n: int, upper: bool, x64) -> None:
    matrix = positive(n)
    # Only the lower triangle is read.
    factor = linalg.cholesky(jnp.tril(matrix) + jnp.triu(jnp.full((n, n), 7.0), 1), upper=upper)
    np.testing.assert_allclose(factor @ factor.T, matrix, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(np.tril(factor, -1) if upper else np.triu(factor, 1), 0)
    assert np.diag(factor).min() > 0


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("n", SIZES)
def test_substitution_solves_the_system(n: int, upper: bool, x64) -> None:
    b = jax.random.normal(jax.random.key(100 + n), (n,))
    solution = linalg.cholesky_solve(linalg.cholesky(positive(n), upper=upper), b, upper=upper)
    np.testing.assert_allclose(solution, np.linalg.solve(positive(n), b), rtol=1e-8)


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("n", [2, 9])
def test_the_factor_of_an_indefinite_matrix_is_nan(n: int, upper: bool) -> None:
    factor = linalg.cholesky(-jnp.eye(n), upper=upper)
    assert not np.isfinite(factor).all()
