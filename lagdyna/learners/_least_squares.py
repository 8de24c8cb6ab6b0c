from collections.abc import Callable
from typing import NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, PyTree, Scalar

from ._learner import AbstractLearner, LearnerState, Metrics, all_finite
from ._losses import AbstractSquaredLoss

Model = TypeVar("Model")
Batch = TypeVar("Batch")

_JACOBIAN = 2**24  # numbers of a Jacobian that are held at once
_TRIES = 6


class LevenbergMarquardtLearner(AbstractLearner[Model, Batch]):
    """Damped Gauss-Newton steps on the errors of a batch, for models of few weights.

        (J'J + damping diag(J'J)) step = -J'e

    For small networks, smooth data and small errors. An update costs `errors weights^2`
    multiplications and `weights^3 / 3` more, and holds a square matrix of the weights: a
    few thousand of them are well served, more are for [`lagdyna.learners.GradientLearner`][].
    Give it the same large batch each time, several times as many errors as weights: each
    step goes to the minimum of its batch, so changing ones never settle.

    The damping follows Nielsen (1999, Damping parameter in Marquardt's method), its
    scaling Marquardt (1963). Optimistix has the method too, for errors of which nothing
    is known; here each row's errors are differentiated by themselves.

    **Arguments:**

    - `loss`: a [`lagdyna.learners.AbstractSquaredLoss`][].
    - `damping`: of the first try, relative to the curvature of each weight.
    """

    loss: AbstractSquaredLoss[Model, Batch]
    damping: float = eqx.field(static=True, default=1e-2)

    def init(self, model: Model) -> LearnerState:
        dtype = jnp.result_type(*jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array)))
        return jnp.asarray(self.damping, dtype)

    def update(
        self, model: Model, state: LearnerState, batch: Batch
    ) -> tuple[Model, LearnerState, Metrics]:
        tree, rest = eqx.partition(model, eqx.is_inexact_array)
        weights, unravel = ravel_pytree(tree)

        def errors(weights: Array, row: PyTree) -> Array:
            return self.loss.errors(eqx.combine(unravel(weights), rest), row)

        normal = _normal_equations(errors, weights, batch)
        found = _search(errors, weights, batch, normal, state)
        loss = self.loss(model, batch)
        finite = all_finite((loss, normal, found))
        weights, state = jax.tree.map(
            lambda new, old: jnp.where(finite, new, old), found, (weights, state)
        )
        metrics = {"loss": loss, "skipped": 1.0 - finite, "damping": state}
        return eqx.combine(unravel(weights), rest), state, metrics


Errors = Callable[[Array, PyTree], Array]


class _Normal(NamedTuple):
    """A sum of squares to second order: `total + 2 gradient.step + step' matrix step`."""

    total: Scalar
    gradient: Float[Array, " weights"]
    matrix: Float[Array, "weights weights"]


def _normal_equations(errors: Errors, weights: Array, batch: PyTree) -> _Normal:
    """Of all rows of a batch, whose Jacobian is made piece by piece."""
    rows = jax.tree.leaves(batch)[0].shape[0]
    width = jax.eval_shape(errors, weights, jax.tree.map(lambda x: x[0], batch)).shape[0]
    piece = max(1, min(rows, _JACOBIAN // (width * weights.size)))
    basis = jnp.eye(width, dtype=weights.dtype)

    def linearised(row: PyTree) -> tuple[Array, Array]:
        e, pull_back = jax.vjp(lambda w: errors(w, row), weights)
        return e, jax.vmap(pull_back)(basis)[0]

    def add(total: _Normal, some: PyTree) -> tuple[_Normal, None]:
        e, jacobian = jax.vmap(linearised)(some)
        e, jacobian = e.reshape(-1), jacobian.reshape(-1, weights.size)
        more = _Normal(e @ e, jacobian.T @ e, jacobian.T @ jacobian)
        return jax.tree.map(jnp.add, total, more), None

    whole = rows - rows % piece
    zero = jnp.zeros_like(weights)
    total = _Normal(zero[0], zero, jnp.outer(zero, zero))
    pieces = jax.tree.map(
        lambda x: x[:whole].reshape(whole // piece, piece, *x.shape[1:]), batch
    )
    total, _ = jax.lax.scan(add, total, pieces)
    if whole < rows:
        total, _ = add(total, jax.tree.map(lambda x: x[whole:], batch))
    return total


class _Try(NamedTuple):
    """A search for a step: how often tried, whether one was found, and what came of it."""

    tries: Int[Array, ""]
    found: Bool[Array, ""]
    weights: Float[Array, " weights"]
    damping: Scalar
    growth: Scalar


def _search(
    errors: Errors, weights: Array, batch: PyTree, normal: _Normal, damping: Scalar
) -> tuple[Array, Scalar]:
    """Steps of growing damping, until one makes the sum of squares smaller."""
    curvature = jnp.diag(normal.matrix)
    tiny = 10 * jnp.finfo(weights.dtype).eps
    # A weight without influence is damped a little too: the matrix stays definite.
    scale = curvature + tiny * jnp.max(curvature)

    def attempt(last: _Try) -> _Try:
        matrix = normal.matrix + last.damping * jnp.diag(scale)
        step = -jax.scipy.linalg.solve(matrix, normal.gradient, assume_a="pos")
        total = jnp.sum(jax.vmap(errors, (None, 0))(weights + step, batch) ** 2)
        promised = -(2 * normal.gradient @ step + step @ (normal.matrix @ step))
        kept = (normal.total - total) / promised
        better = total < normal.total  # not where it is nan
        factor = jnp.where(better, jnp.clip(1 - (2 * kept - 1) ** 3, 1 / 3, 2), last.growth)
        return _Try(
            last.tries + 1,
            better,
            jnp.where(better, weights + step, weights),
            jnp.clip(last.damping * factor, tiny, 1 / tiny),
            2 * last.growth,
        )

    first = _Try(
        jnp.asarray(0), jnp.asarray(False), weights, damping, jnp.full_like(damping, 2)
    )
    last = jax.lax.while_loop(lambda t: (t.tries < _TRIES) & ~t.found, attempt, first)
    return last.weights, last.damping
