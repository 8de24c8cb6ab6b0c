import math
from typing import Any, ClassVar, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, Scalar

from ._covariance import BlockCovariance, GainCovariance, LowRankCovariance
from ._filter import (
    AbstractFilter,
    Correction,
    Errors,
    FilterState,
    Innovation,
    bounded_noise,
    gaussian_log_density,
    mask_missing,
)
from ._posterior import GaussianPosterior
from ._triangular import inverse_factor
from ._weight_groups import Blocks, Parts, check_blocks, group_weights

Model = TypeVar("Model")
Batch = TypeVar("Batch")


KalmanCovariance = BlockCovariance | GainCovariance | LowRankCovariance


class KalmanLearner(AbstractFilter[Model, Batch]):
    """The extended Kalman filter: the weights are the state, each batch an observation.

        P- = P / fading + process^2 I
        S = J P- J' + R,   m = m- + P- J' S^-1 (y - h(m-)),   P = P- - P- J' S^-1 J P-

    See Das et al. 2026, eq. 7-13, and [`lagdyna.filters.AbstractFilter`][] for the options
    that all filters share.

    A step is rejected if it increases the errors of its batch by more than a thousandth, or
    makes them `nan`, since the linearisation was then poor. It is recomputed with ten times
    the noise, at most twelve times. If no step is accepted, the update is skipped. Models
    that are linear in their weights never reject a step.

    The covariance has one of these forms:

    - `blocks="full"`: one block of all weights, which stores the square of their number;
    - `blocks="layer"`: one block for the weights and biases of each layer;
    - `blocks="node"`: one block for the weights into each unit;
    - `blocks="weight"`: variances only;
    - `rank`: a precision of a diagonal plus a low-rank matrix, see
        [`lagdyna.filters.LowRankCovariance`][].

    Blocks are assumed independent of each other, but share the innovation covariance `S`
    (decoupled extended Kalman filter, Puskorius & Feldkamp 1991).

    **Arguments:** those of [`lagdyna.filters.AbstractFilter`][], and

    - `blocks`: block structure of the covariance, see above.
    - `rank`: rank of a low-rank precision. `None` uses `blocks`.
    - `iterations`: linearisations per update. With more than one, the model is linearised
        again about the updated mean with the same prior (iterated extended Kalman filter).
        No data are counted twice.
    - `batches`: number of batches, and of errors of each, if they are known. If all these are
        fewer than the weights, one full block without process noise and forgetting is
        computed as a [`lagdyna.filters.GainCovariance`][], which takes less time and memory.

    **Raises:** `ValueError` if an argument is out of its range.
    """

    blocks: Blocks = eqx.field(static=True, default="full", kw_only=True)
    rank: int | None = eqx.field(static=True, default=None, kw_only=True)
    iterations: int = eqx.field(static=True, default=1, kw_only=True)
    batches: tuple[int, int] | None = eqx.field(static=True, default=None, kw_only=True)

    _positive: ClassVar[tuple[str, ...]] = (*AbstractFilter._positive, "rank", "iterations")

    def __check_init__(self):
        check_blocks(self.blocks)

    def _init_belief(self, weights: PyTree) -> KalmanCovariance:
        if self.rank is not None:
            return LowRankCovariance.isotropic(weights, self.prior**2, self.rank)
        if self._has_fewer_gains_than(sum(leaf.size for leaf in jax.tree.leaves(weights))):
            assert self.batches is not None
            return GainCovariance.isotropic(weights, self.prior**2, *self.batches)
        return BlockCovariance.isotropic(weights, self.prior**2, self.blocks)

    def _has_fewer_gains_than(self, weights: int) -> bool:
        """Tell whether the gains of all batches are kept in place of the covariance."""
        static = self.fading == 1 and not self.process
        if self.batches is None or self.blocks != "full" or not static:
            return False
        return math.prod(self.batches) < weights

    def _predict(self, state: FilterState) -> KalmanCovariance:
        return state.belief.predicted(self.fading, state.process if self.process else None)

    def _innovation(self, errors: Errors, weights: PyTree) -> Innovation:
        return _linearise(errors, weights, "full" if self.rank else self.blocks)

    def _condition(
        self,
        errors: Errors,
        weights: PyTree,
        belief: Any,
        innovation: Innovation,
        noise: Scalar,
        updates: Scalar,
    ) -> Correction:
        before = jnp.sum(innovation.error**2)
        observed = jnp.sum(innovation.mask)
        limit = before + _TOLERANCE * (before + noise / self.repeats * observed)

        def moved(step: Parts) -> PyTree:
            return jax.tree.map(jnp.add, weights, belief.ungrouped(step, weights))

        def attempt(noise: Scalar) -> _Attempt:
            at = innovation
            first = update = _kalman_update(belief, at, at.error, noise)
            for _ in range(self.iterations - 1):
                at = self._innovation(errors, moved(update.step))
                pairs = zip(at.jacobian, update.step, strict=True)
                # The errors that the new linearisation predicts at the prior mean.
                error = at.error - sum(jnp.einsum("ebi,bi->e", j, s) for j, s in pairs)
                update = _kalman_update(belief, at, error, noise)
            # A `nan` at an observed entry compares false, so that its step is rejected.
            after = jnp.where(innovation.mask > 0, errors(moved(update.step)), 0)
            accepted = jnp.sum(after**2) <= limit
            return _Attempt(at.jacobian, update, first.log_evidence, accepted)

        def retry(last: tuple[_Attempt, Scalar, Array]) -> tuple[_Attempt, Scalar, Array]:
            _, noise, retries = last
            return attempt(_NOISE_FACTOR * noise), _NOISE_FACTOR * noise, retries + 1

        first = attempt(noise)
        last, _, _ = jax.lax.while_loop(
            lambda last: ~last[0].accepted & (last[2] < _MAX_RETRIES),
            retry,
            (first, noise, jnp.zeros((), int)),
        )
        gained = _Gain(last.jacobian, last.update.gain, last.update.noise)
        # The caller skips updates that are not finite, and counts them.
        step = jax.tree.map(
            lambda s: jnp.where(last.accepted, s, jnp.nan),
            belief.ungrouped(last.update.step, weights),
        )
        return Correction(step, gained, first.log_evidence)

    def _next_belief(
        self, state: FilterState, belief: Any, correction: Correction, valid: Array
    ) -> Any:
        if self.rank is not None:
            updated = belief.conditioned(*correction.belief)
            correction = correction._replace(belief=updated)
            return super()._next_belief(state, belief, correction, valid)
        # Zero the gain of an invalid update, which is cheaper than selecting whole blocks.
        gain = jax.tree.map(lambda x: jnp.where(valid, x, 0), correction.belief)
        if belief is not state.belief:
            belief = jax.tree.map(
                lambda new, old: jnp.where(valid, new, old), belief, state.belief
            )
        return belief.conditioned(*gain)

    def _posterior(
        self, weights: PyTree, rest: PyTree, state: FilterState
    ) -> GaussianPosterior[Model]:
        return GaussianPosterior.of(weights, rest, state.belief, state.noise)


# A step is rejected if it increases the batch's squared errors by more than `_TOLERANCE` of
# these errors and of the noise. It is then recomputed with `_NOISE_FACTOR` times the noise.
_TOLERANCE, _NOISE_FACTOR, _MAX_RETRIES = 1e-3, 10.0, 12


class _Attempt(NamedTuple):
    """Proposed update, and whether it is accepted."""

    jacobian: Parts
    update: "_KalmanUpdate"
    log_evidence: Scalar
    accepted: Array


class _Gain(NamedTuple):
    """Arguments of the `conditioned` method of a covariance."""

    jacobian: Parts
    gain: Parts
    noise: Scalar


class _KalmanUpdate(eqx.Module):
    """Update of the mean, with the square-root gain that updates the covariance.

    **Attributes:** `step`, of the weights, in groups; `gain`, `P- J' L^-T` with `S = L L'`;
    `noise`, the variance that was used; `log_evidence`, of the batch.
    """

    step: Parts
    gain: Parts
    noise: Scalar
    log_evidence: Scalar


def _kalman_update(
    prior: KalmanCovariance, at: Innovation, error: Float[Array, " errors"], noise: Scalar
) -> _KalmanUpdate:
    """Compute the Kalman update for an observation that the errors are zero up to noise.

    A missing entry has a zero Jacobian and a zero error, so it has no effect.
    """
    count = error.size
    cross = prior.times(at.jacobian)
    flat = lambda parts: jnp.concatenate(  # noqa: E731
        [part.reshape(count, -1) for part in parts], axis=-1
    )
    explained = flat(cross) @ flat(at.jacobian).T
    largest = prior.rounded(at.jacobian, jnp.diagonal(explained))
    noise = bounded_noise(noise, explained, largest)
    factor = jnp.linalg.cholesky(explained + noise * jnp.eye(count, dtype=error.dtype))
    inverse = inverse_factor(factor)
    whitened = inverse @ error
    gains = tuple((inverse @ s.reshape(count, -1)).reshape(s.shape) for s in cross)
    step = tuple(-jnp.einsum("ebi,e->bi", gain, whitened) for gain in gains)
    log_evidence = gaussian_log_density(whitened, factor, at.mask)
    return _KalmanUpdate(step, gains, noise, log_evidence)


def _linearise(errors: Errors, weights: PyTree, blocks: Blocks) -> Innovation:
    """Evaluate the errors and their Jacobian row by row.

    The errors of a row depend on that row alone, so each needs one backward pass per output.
    """

    def of_row(row: PyTree) -> tuple[Array, Any]:
        error, pull_back = jax.vjp(lambda w: errors.of_row(w, row), weights)
        (jacobian,) = jax.vmap(pull_back)(jnp.eye(error.shape[0], dtype=error.dtype))
        return error, jax.vmap(lambda j: group_weights(j, blocks))(jacobian)

    error, jacobian = jax.vmap(of_row)(errors.batch)
    at = mask_missing(error.reshape(-1))
    parts = tuple(
        jnp.where(at.mask[:, None, None] > 0, part.reshape(error.size, *part.shape[2:]), 0)
        for part in jacobian
    )
    return at._replace(jacobian=parts)
