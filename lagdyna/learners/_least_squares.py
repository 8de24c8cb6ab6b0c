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

_MAX_JACOBIAN_SIZE = 2**24  # entries of the Jacobian in memory at a time
_MAX_TRIALS = 6  # dampings tried in one update


class LevenbergMarquardtLearner(AbstractLearner[Model, Batch]):
    """The Levenberg-Marquardt method: damped Gauss-Newton steps on a squared loss.

        (J'J + damping diag(J'J)) step = -J'e

    Use it for small networks, smooth data and small errors. An update costs
    `errors weights^2 + weights^3 / 3` multiplications and stores a matrix of `weights^2`
    entries. It suits up to a few thousand weights; use [`lagdyna.learners.GradientLearner`][]
    for more.

    Use the same large batch in each update, with several times as many errors as weights.
    Each step moves to the minimum of its batch, so updates on changing batches do not
    converge.

    The damping schedule follows Nielsen (1999, Damping parameter in Marquardt's method), the
    scaling by `diag(J'J)` follows Marquardt (1963). Optimistix offers the method for general
    residuals. This version uses that the errors of a row depend on that row alone.

    **Arguments:**

    - `loss`: a [`lagdyna.learners.AbstractSquaredLoss`][].
    - `damping`: initial damping, relative to the curvature of each weight.
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
        proposed = _damped_step(errors, weights, batch, normal, state)
        loss = self.loss(model, batch)
        finite = all_finite((loss, normal, proposed))
        weights, state = jax.tree.map(
            lambda new, old: jnp.where(finite, new, old), proposed, (weights, state)
        )
        metrics = {"loss": loss, "skipped": 1.0 - finite, "damping": state}
        return eqx.combine(unravel(weights), rest), state, metrics


Errors = Callable[[Array, PyTree], Array]


class _NormalEquations(NamedTuple):
    """Quadratic model of a sum of squares: `total + 2 gradient.step + step' matrix step`."""

    total: Scalar
    gradient: Float[Array, " weights"]
    matrix: Float[Array, "weights weights"]


def _normal_equations(errors: Errors, weights: Array, batch: PyTree) -> _NormalEquations:
    """Assemble the normal equations of a batch from chunks of the Jacobian.

    Only one chunk of at most `_MAX_JACOBIAN_SIZE` entries is in memory at a time.
    """
    rows = jax.tree.leaves(batch)[0].shape[0]
    width = jax.eval_shape(errors, weights, jax.tree.map(lambda x: x[0], batch)).shape[0]
    chunk = max(1, min(rows, _MAX_JACOBIAN_SIZE // (width * weights.size)))
    basis = jnp.eye(width, dtype=weights.dtype)

    def linearise(row: PyTree) -> tuple[Array, Array]:
        e, pull_back = jax.vjp(lambda w: errors(w, row), weights)
        return e, jax.vmap(pull_back)(basis)[0]

    def add(total: _NormalEquations, chunk_rows: PyTree) -> tuple[_NormalEquations, None]:
        e, jacobian = jax.vmap(linearise)(chunk_rows)
        e, jacobian = e.reshape(-1), jacobian.reshape(-1, weights.size)
        added = _NormalEquations(e @ e, jacobian.T @ e, jacobian.T @ jacobian)
        return jax.tree.map(jnp.add, total, added), None

    divisible = rows - rows % chunk
    zero = jnp.zeros_like(weights)
    total = _NormalEquations(zero[0], zero, jnp.outer(zero, zero))
    chunks = jax.tree.map(
        lambda x: x[:divisible].reshape(divisible // chunk, chunk, *x.shape[1:]), batch
    )
    total, _ = jax.lax.scan(add, total, chunks)
    if divisible < rows:
        total, _ = add(total, jax.tree.map(lambda x: x[divisible:], batch))
    return total


class _Trial(NamedTuple):
    """State of the search for a step that reduces the sum of squares.

    **Attributes:** `trials`, their number; `accepted`, whether the last step was; `weights`,
    after it; `damping`, of the next trial; `growth`, factor of the damping on rejection.
    """

    trials: Int[Array, ""]
    accepted: Bool[Array, ""]
    weights: Float[Array, " weights"]
    damping: Scalar
    growth: Scalar


def _damped_step(
    errors: Errors, weights: Array, batch: PyTree, normal: _NormalEquations, damping: Scalar
) -> tuple[Array, Scalar]:
    """Try steps of growing damping until one reduces the sum of squares.

    **Returns:** the weights, unchanged if no step reduced it, and the next damping.
    """
    curvature = jnp.diag(normal.matrix)
    tiny = 10 * jnp.finfo(weights.dtype).eps
    # Damp weights without influence too, so that the matrix stays positive definite.
    scale = curvature + tiny * jnp.max(curvature)

    def attempt(last: _Trial) -> _Trial:
        matrix = normal.matrix + last.damping * jnp.diag(scale)
        step = -jax.scipy.linalg.solve(matrix, normal.gradient, assume_a="pos")
        total = jnp.sum(jax.vmap(errors, (None, 0))(weights + step, batch) ** 2)
        predicted = -(2 * normal.gradient @ step + step @ (normal.matrix @ step))
        gain_ratio = (normal.total - total) / predicted
        accepted = total < normal.total  # false if `total` is nan
        factor = jnp.where(
            accepted, jnp.clip(1 - (2 * gain_ratio - 1) ** 3, 1 / 3, 2), last.growth
        )
        return _Trial(
            last.trials + 1,
            accepted,
            jnp.where(accepted, weights + step, weights),
            jnp.clip(last.damping * factor, tiny, 1 / tiny),
            2 * last.growth,
        )

    first = _Trial(
        jnp.asarray(0), jnp.asarray(False), weights, damping, jnp.full_like(damping, 2)
    )
    last = jax.lax.while_loop(lambda t: (t.trials < _MAX_TRIALS) & ~t.accepted, attempt, first)
    return last.weights, last.damping
