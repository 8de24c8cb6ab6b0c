from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, PyTree, Scalar

from ._jacobian_factor import FEW_WEIGHTS, Errors, jacobian_factor, undetermined
from ._learner import AbstractLearner, LearnerState, Metrics, all_finite
from ._losses import AbstractSquaredLoss

Model = TypeVar("Model")
Batch = TypeVar("Batch")

_MAX_JACOBIAN_SIZE = 2**24  # entries of the Jacobian in memory at a time
_LARGEST_STEP = 3.0  # of one weight of few; positive parameters change by a factor of e^3
_HOPELESS = 1e6  # damping beyond which steps are too short to matter
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

    Up to 200 weights are treated with more care. Derivatives are taken forward, all of them at
    once. A triangular factor of the Jacobian takes the place of `J'J`, whose condition number
    is the square.

    **Arguments:**

    - `loss`: a [`lagdyna.learners.AbstractSquaredLoss`][].
    - `damping`: initial damping, relative to the curvature of each weight.
    - `tolerance`: relative decrease of the loss below which the method has converged. Further
        updates then cost nothing and change nothing. By default it is never reached.
    - `physical`: whether the weights are few parameters of a known system. Directions that
        the data do not tell are then left as they are, see
        [`lagdyna.learners.undetermined`][], and steps are limited.
    - `precise`: whether the linear algebra of more than 200 weights is in double precision,
        whatever the model's, and damping is the same for all weights. Use it where
        many directions of the weights change nothing, and errors can become very small.
    """

    loss: AbstractSquaredLoss[Model, Batch]
    damping: float = eqx.field(static=True, default=1e-2)
    tolerance: float = eqx.field(static=True, default=0.0)
    physical: bool = eqx.field(static=True, default=False)
    precise: bool = eqx.field(static=True, default=False)

    def init(self, model: Model) -> LearnerState:
        dtype = jnp.result_type(*jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array)))
        return LevenbergMarquardtState(
            jnp.asarray(self.damping, dtype), jnp.asarray(False), jnp.asarray(jnp.inf, dtype)
        )

    def update(
        self, model: Model, state: LearnerState, batch: Batch
    ) -> tuple[Model, LearnerState, Metrics]:
        tree, rest = eqx.partition(model, eqx.is_inexact_array)
        weights, unravel = ravel_pytree(tree)

        def errors(weights: Array, row: PyTree) -> Array:
            return self.loss.errors(eqx.combine(unravel(weights), rest), row)

        def advance(
            weights: Array, state: LevenbergMarquardtState
        ) -> tuple[Array, LevenbergMarquardtState, Scalar]:
            proposed, last, total = self._step(errors, weights, batch, state.damping)
            few = weights.size <= FEW_WEIGHTS
            # The sum of squares saves few weights the compilation of another rollout.
            loss = total / _rows(batch) if few else self.loss(model, batch)
            finite = all_finite((loss, proposed))
            following = LevenbergMarquardtState(
                last.damping, _converged(last, total, self.tolerance), loss
            )
            weights, state = jax.tree.map(
                lambda new, old: jnp.where(finite, new, old),
                (proposed, following),
                (weights, state),
            )
            return weights, state, 1.0 - finite

        def stay(
            weights: Array, state: LevenbergMarquardtState
        ) -> tuple[Array, LevenbergMarquardtState, Scalar]:
            return weights, state, jnp.zeros_like(state.damping)

        if self.tolerance > 0:
            found = jax.lax.cond(state.converged, stay, advance, weights, state)
        else:
            found = advance(weights, state)
        weights, state, skipped = found
        metrics = {
            "loss": state.loss,
            "skipped": skipped,
            "damping": state.damping,
            "converged": jnp.asarray(state.converged, state.damping.dtype),
        }
        return eqx.combine(unravel(weights), rest), state, metrics

    def _step(
        self, errors: Errors, weights: Array, batch: PyTree, damping: Scalar
    ) -> tuple[Array, "_Trial", Scalar]:
        """Take one damped step.

        **Returns:** the weights; the last trial; the sum of squares before.
        """
        if weights.size <= FEW_WEIGHTS:
            factor, count = jacobian_factor(errors, weights, batch)
            quadratic, solve = _few_weights(factor, count if self.physical else None)
        else:
            quadratic = _normal_equations(errors, weights, batch, self.precise)
            solve = _many_weights(quadratic, self.precise)
        last = _damped_step(errors, weights, batch, quadratic, solve, damping)
        # A Jacobian that is not finite must not pass as a step of length 0.
        with _precision(self.precise):
            usable = all_finite(quadratic)
        return jnp.where(usable, last.weights, jnp.nan), last, quadratic.total


class LevenbergMarquardtState(NamedTuple):
    """State of a [`lagdyna.learners.LevenbergMarquardtLearner`][].

    **Attributes:** `damping`, of the next step; `converged`, whether further steps would
    change nothing; `loss`, before the last step.
    """

    damping: Scalar
    converged: Bool[Array, ""]
    loss: Scalar


class _NormalEquations(NamedTuple):
    """Quadratic model of a sum of squares: `total + 2 gradient.step + step' matrix step`."""

    total: Scalar
    gradient: Float[Array, " weights"]
    matrix: Float[Array, "weights weights"]

    def decrease(self, step: Array) -> Scalar:
        """Predict by how much a step reduces the total."""
        precise = self.matrix.dtype != step.dtype
        with _precision(precise):
            wide = _wide(step, precise)
            change = 2 * self.gradient @ wide + wide @ (self.matrix @ wide)
            return -change.astype(step.dtype)


def _normal_equations(
    errors: Errors, weights: Array, batch: PyTree, precise: bool
) -> _NormalEquations:
    """Assemble the normal equations of a batch from chunks of the Jacobian.

    Only one chunk of at most `_MAX_JACOBIAN_SIZE` entries is in memory at a time.

    **Arguments:** `precise`, whether the products of the Jacobian are in double precision.
    """
    rows = _rows(batch)
    width = jax.eval_shape(errors, weights, jax.tree.map(lambda x: x[0], batch)).shape[0]
    chunk = max(1, min(rows, _MAX_JACOBIAN_SIZE // (width * weights.size)))
    basis = jnp.eye(width, dtype=weights.dtype)

    def linearise(row: PyTree) -> tuple[Array, Array]:
        e, pull_back = jax.vjp(lambda w: errors(w, row), weights)
        return e, jax.vmap(pull_back)(basis)[0]

    def add(total: _NormalEquations, chunk_rows: PyTree) -> tuple[_NormalEquations, None]:
        e, jacobian = jax.vmap(linearise)(chunk_rows)
        e, jacobian = e.reshape(-1), jacobian.reshape(-1, weights.size)
        with _precision(precise):
            e, jacobian = _wide(e, precise), _wide(jacobian, precise)
            added = _NormalEquations(e @ e, jacobian.T @ e, jacobian.T @ jacobian)
            return jax.tree.map(jnp.add, total, added), None

    divisible = rows - rows % chunk
    with _precision(precise):
        zero = jnp.zeros_like(_wide(weights, precise))
        total = _NormalEquations(zero[0], zero, jnp.outer(zero, zero))
    chunks = jax.tree.map(
        lambda x: x[:divisible].reshape(divisible // chunk, chunk, *x.shape[1:]), batch
    )
    total, _ = jax.lax.scan(add, total, chunks)
    if divisible < rows:
        total, _ = add(total, jax.tree.map(lambda x: x[divisible:], batch))
    return total._replace(total=total.total.astype(weights.dtype))


def _many_weights(quadratic: _NormalEquations, precise: bool) -> "Solve":
    """Solve the damped normal equations by their Cholesky factor."""
    with _precision(precise):
        diagonal = jnp.diag(quadratic.matrix)
        scale = jnp.full_like(diagonal, jnp.max(diagonal)) if precise else _scale(diagonal)

    def solve(damping: Scalar) -> Array:
        with _precision(precise):
            matrix = quadratic.matrix + _wide(damping, precise) * jnp.diag(scale)
            step = -jax.scipy.linalg.solve(matrix, quadratic.gradient, assume_a="pos")
            return step.astype(damping.dtype)

    return solve


def _precision(precise: bool) -> AbstractContextManager[Any]:
    """Allow double precision within a program of single precision."""
    return jax.enable_x64(True) if precise else nullcontext()


def _wide(x: Array, precise: bool) -> Array:
    return x.astype(jnp.float64) if precise else x


def _few_weights(factor: Array, count: int | None) -> tuple[_NormalEquations, "Solve"]:
    """Solve the damped equations by orthogonal factors.

    **Arguments:** `factor`, see `jacobian_factor`; `count`, number of errors if steps are to
    be limited and to leave undetermined directions.
    """
    size = factor.shape[0] - 1
    triangle, right = factor[:size, :size], factor[:size, size]
    total = right @ right + factor[size, size] ** 2
    matrix = triangle.T @ triangle
    quadratic = _NormalEquations(total, triangle.T @ right, matrix)
    scale = jnp.sqrt(_scale(jnp.diag(matrix)))
    basis, held = jnp.eye(size, dtype=factor.dtype), jnp.zeros(size, bool)
    if count is not None:
        directions, held = undetermined(factor, count)
        basis = directions.T * ~held

    def solve(damping: Scalar) -> Array:
        damped = jnp.sqrt(damping) * scale[:, None] * basis
        rows = [triangle @ basis, damped, jnp.diag(held.astype(factor.dtype))]
        orthogonal, upper = jnp.linalg.qr(jnp.concatenate(rows))
        given = -orthogonal[:size].T @ right
        step = basis @ jax.scipy.linalg.solve_triangular(upper, given)
        if count is None:
            return step
        return step * jnp.minimum(1, _LARGEST_STEP / jnp.max(jnp.abs(step)))

    return quadratic, solve


def _rows(batch: PyTree) -> int:
    return jax.tree.leaves(batch)[0].shape[0]


def _scale(curvature: Float[Array, " weights"]) -> Float[Array, " weights"]:
    """Damp weights without influence too, so that the matrix stays positive definite."""
    return curvature + _tiny(curvature) * jnp.max(curvature)


def _tiny(like: Array) -> float:
    return 10 * float(jnp.finfo(like.dtype).eps)


class _Trial(NamedTuple):
    """State of the search for a step that reduces the sum of squares.

    **Attributes:** `trials`, their number; `accepted`, whether the last step was; `weights`,
    after it; `damping`, of the next trial; `growth`, factor of the damping on rejection;
    `total`, sum of squares after the last step; `length`, largest change of a weight in it.
    """

    trials: Int[Array, ""]
    accepted: Bool[Array, ""]
    weights: Float[Array, " weights"]
    damping: Scalar
    growth: Scalar
    total: Scalar
    length: Scalar


def _damped_step(
    errors: Errors,
    weights: Array,
    batch: PyTree,
    normal: _NormalEquations,
    solve: "Solve",
    damping: Scalar,
) -> _Trial:
    """Try steps of growing damping until one reduces the sum of squares."""
    tiny = _tiny(normal.matrix)

    def attempt(last: _Trial) -> _Trial:
        step = solve(last.damping)
        total = jnp.sum(jax.vmap(errors, (None, 0))(weights + step, batch) ** 2)
        gain_ratio = (normal.total - total) / normal.decrease(step)
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
            jnp.where(accepted, total, normal.total),
            jnp.max(jnp.abs(step)),
        )

    first = _Trial(
        jnp.asarray(0),
        jnp.asarray(False),
        weights,
        damping,
        jnp.full_like(damping, 2),
        normal.total,
        jnp.full_like(damping, jnp.inf),
    )
    return jax.lax.while_loop(lambda t: (t.trials < _MAX_TRIALS) & ~t.accepted, attempt, first)


def _converged(last: _Trial, total: Scalar, tolerance: float) -> Bool[Array, ""]:
    """Whether a step gained next to nothing, or none of any length gains anything.

    A step within the rounding errors of the weights counts as that, too: errors that are
    rounding errors themselves still fall and rise by much of their size.
    """
    little = total - last.total <= tolerance * total
    largest = jnp.max(jnp.abs(last.weights))
    short = last.length <= _tiny(largest) * (1 + largest)
    return short | jnp.where(last.accepted, little, last.damping > _HOPELESS)


Solve = Callable[[Scalar], Array]
