"""Triangular factor of the Jacobian of few weights, and what it tells of them."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

FEW_WEIGHTS = 200  # that are treated one by one

Errors = Callable[[Array, PyTree], Array]

_MAX_SIZE = 2**24  # entries of the Jacobian in memory at a time


def jacobian_factor(
    errors: Errors, weights: Float[Array, " weights"], batch: PyTree
) -> tuple[Float[Array, "size size"], int]:
    """Compute the triangular factor `R` of the Jacobian with the errors as its last column.

    `R'R = [J e]'[J e]`, and `R` has `weights + 1` columns. Its condition number is that of `J`,
    and not the square as that of `J'J`, so that it is exact enough in single precision.

    **Arguments:** `errors`, a function of the weights and one row; `batch`, rows with a
    leading axis.

    **Returns:** `R`, and the number of errors.
    """
    rows = jax.tree.leaves(batch)[0].shape[0]
    width = jax.eval_shape(errors, weights, jax.tree.map(lambda x: x[0], batch)).shape[0]
    size = weights.size + 1
    chunk = max(1, min(rows, _MAX_SIZE // (width * size)))

    def add(factor: Array, some: PyTree) -> tuple[Array, None]:
        e, jacobian = jax.vmap(lambda row: linearised(errors, weights, row))(some)
        columns = [jacobian.reshape(-1, weights.size), e.reshape(-1, 1)]
        stacked = jnp.concatenate([factor, jnp.concatenate(columns, axis=1)])
        return jnp.linalg.qr(stacked, mode="r"), None

    divisible = rows - rows % chunk
    chunks = jax.tree.map(
        lambda x: x[:divisible].reshape(divisible // chunk, chunk, *x.shape[1:]), batch
    )
    factor = jnp.zeros((size, size), weights.dtype)
    factor, _ = jax.lax.scan(add, factor, chunks)
    if divisible < rows:
        factor, _ = add(factor, jax.tree.map(lambda x: x[divisible:], batch))
    return factor, rows * width


def linearised(
    errors: Errors, weights: Float[Array, " weights"], row: PyTree
) -> tuple[Float[Array, " k"], Float[Array, "k weights"]]:
    """Compute the errors of a row and their Jacobian.

    Forward, since weights are few. Solvers that only go backward are differentiated backward.
    """

    def of_row(weights: Array) -> Array:
        return errors(weights, row)

    try:
        basis = jnp.eye(weights.size, dtype=weights.dtype)
        push = lambda direction: jax.jvp(of_row, (weights,), (direction,))  # noqa: E731
        return jax.vmap(push, out_axes=(None, 1))(basis)
    except TypeError:  # of a function with a derivative of its own, which is a reverse one
        e, pull = jax.vjp(of_row, weights)
        return e, jax.vmap(pull)(jnp.eye(e.size, dtype=e.dtype))[0]


def undetermined(
    factor: Float[Array, "size size"], count: int
) -> tuple[Float[Array, "weights weights"], Bool[Array, " weights"]]:
    """Find the directions of the weights that the data do not tell.

    The singular value of a direction is the change of all errors together if the weights move
    by 1 along it, so a positive parameter by a factor of e. A direction is undetermined if
    this is within the rounding errors of the largest singular value. It is so, too, if this
    is less than the standard deviation of a single error, unless moving the weights would
    reduce the sum of squares by more than chance does.

    **Arguments:** `factor`, see [`lagdyna.learners.jacobian_factor`][]; `count`, number of
    errors.

    **Returns:** orthonormal directions as rows, and whether each is undetermined.
    """
    size = factor.shape[0] - 1
    left, singular, directions = jnp.linalg.svd(factor[:size, :size])
    projected = left.T @ factor[:size, size]
    total = projected @ projected + factor[size, size] ** 2
    deviation = jnp.sqrt(total / max(1, count - size))
    rounding = max(_ROUNDING * float(jnp.finfo(factor.dtype).eps), _LEAST)
    by_chance = jnp.abs(projected) < _CHANCE * deviation
    return directions, (singular <= rounding * singular[0]) | (
        (singular < deviation) & by_chance
    )


_ROUNDING = 100.0  # of derivatives, in units of the precision of numbers
_LEAST = 1e-8  # relative singular value, below which no record of a machine tells anything
_CHANCE = 3.0  # standard deviations
