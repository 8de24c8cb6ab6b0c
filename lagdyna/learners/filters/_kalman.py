from typing import Any, ClassVar, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, Scalar

from ._covariance import (
    BlockCovariance,
    Blocks,
    LowRankCovariance,
    Parts,
    check_blocks,
    grouped,
)
from ._filter import (
    AbstractFilter,
    Errors,
    FilterState,
    Found,
    Observed,
    gaussian_log_density,
    observed,
    resolved,
)
from ._posterior import GaussianPosterior
from ._triangular import inverse_factor

Model = TypeVar("Model")
Batch = TypeVar("Batch")


KalmanCovariance = BlockCovariance | LowRankCovariance


class KalmanLearner(AbstractFilter[Model, Batch]):
    """The extended Kalman filter: the weights are a state, a batch is an observation of it.

        P- = P / fading + process I
        S = J P- J' + R,   m = m- + P- J' S^-1 (y - h(m-)),   P = P- - P- J' S^-1 J P-

    (Das et al. 2026, eq. 7-13; settings that all filters share are told in
    [`lagdyna.learners.AbstractFilter`][].)

    Where the errors of a batch are larger after its step than before, by a thousandth and more,
    or not numbers, the linearisation was wrong about it: the step is then found again with ten
    times the noise, twelve times at most, and left out if that does not help. In a model that
    is linear in its weights that never happens.

    The covariance may be kept in `blocks` that are taken for independent while they share
    the covariance `S` of innovations (Puskorius & Feldkamp 1991): `"full"` is one block of
    all weights, and holds their square; `"layer"` has one for the weights and biases of
    each layer, `"node"` one for the weights into each unit, `"weight"` variances alone. Or
    as a precision, a diagonal and `rank` directions; see
    [`lagdyna.learners.LowRankCovariance`][].

    **Arguments:** those of [`lagdyna.learners.AbstractFilter`][], and

    - `blocks`: as above.
    - `rank`: of a low-rank precision in place of the blocks.
    - `iterations`: of each update. More than one linearise again about the mean they have
        found, and keep the prior, so that nothing is counted twice.

    **Raises:** `ValueError` if one of them is out of its range.
    """

    blocks: Blocks = eqx.field(static=True, default="full", kw_only=True)
    rank: int | None = eqx.field(static=True, default=None, kw_only=True)
    iterations: int = eqx.field(static=True, default=1, kw_only=True)

    _positive: ClassVar[tuple[str, ...]] = (*AbstractFilter._positive, "rank", "iterations")

    def __check_init__(self):
        check_blocks(self.blocks)

    def _prior(self, weights: PyTree) -> KalmanCovariance:
        if self.rank is not None:
            return LowRankCovariance.isotropic(weights, self.prior**2, self.rank)
        return BlockCovariance.isotropic(weights, self.prior**2, self.blocks)

    def _predicted(self, state: FilterState) -> KalmanCovariance:
        return state.belief.predicted(self.fading, state.process if self.process else None)

    def _observed(self, errors: Errors, weights: PyTree) -> Observed:
        return _linearised(errors, weights, "full" if self.rank else self.blocks)

    def _conditioned(
        self,
        errors: Errors,
        weights: PyTree,
        belief: Any,
        at: Observed,
        noise: Scalar,
        updates: Scalar,
    ) -> Found:
        before = jnp.sum(at.error**2)
        most = before + _WORSE * (before + noise / self.repeats * jnp.sum(at.seen))

        def moved(step: Parts) -> PyTree:
            return jax.tree.map(jnp.add, weights, belief.ungrouped(step, weights))

        def tried(noise: Scalar) -> _Tried:
            here = at
            first = update = _gain(belief, here, here.error, noise)
            for _ in range(self.iterations - 1):
                here = self._observed(errors, moved(update.step))
                pairs = zip(here.more, update.step, strict=True)
                back = here.error - sum(jnp.einsum("ebi,bi->e", j, s) for j, s in pairs)
                update = _gain(belief, here, back, noise)
            # What is not a number where something was seen is no better than anything.
            left = jnp.where(at.seen > 0, errors(moved(update.step)), 0)
            return _Tried(here.more, update, first.log_evidence, jnp.sum(left**2) <= most)

        def again(last: tuple[_Tried, Scalar, Array]) -> tuple[_Tried, Scalar, Array]:
            _, noise, tries = last
            return tried(_COARSER * noise), _COARSER * noise, tries + 1

        first = tried(noise)
        last, _, _ = jax.lax.while_loop(
            lambda last: ~last[0].better & (last[2] < _TRIES),
            again,
            (first, noise, jnp.zeros((), int)),
        )
        gained = _Gained(last.jacobian, last.update.gain, last.update.noise)
        # What is not a number is left out by what calls this, and counted.
        step = jax.tree.map(
            lambda s: jnp.where(last.better, s, jnp.nan),
            belief.ungrouped(last.update.step, weights),
        )
        return Found(step, gained, first.log_evidence)

    def _after(self, state: FilterState, belief: Any, found: Found, usable: Array) -> Any:
        if self.rank is not None:
            after = belief.conditioned(*found.belief)
            return super()._after(state, belief, found._replace(belief=after), usable)
        # What is not usable has no gain: nothing as large as blocks is chosen from.
        gained = jax.tree.map(lambda x: jnp.where(usable, x, 0), found.belief)
        if belief is not state.belief:
            belief = jax.tree.map(
                lambda new, old: jnp.where(usable, new, old), belief, state.belief
            )
        return belief.conditioned(*gained)

    def _posterior(
        self, weights: PyTree, rest: PyTree, state: FilterState
    ) -> GaussianPosterior[Model]:
        return GaussianPosterior.of(weights, rest, state.belief, state.noise)


# A step after which the batch fits worse than before it, by more than this fraction of its
# errors and of its noise, is one that the linearisation was wrong about; it is tried again as
# if the batch had been seen through so much more noise, so often.
_WORSE, _COARSER, _TRIES = 1e-3, 10.0, 12


class _Tried(NamedTuple):
    """A step that may be taken: whether the batch fits no worse after it."""

    jacobian: Parts
    update: "_Gain"
    log_evidence: Scalar
    better: Array


class _Gained(NamedTuple):
    """What a covariance is conditioned by."""

    jacobian: Parts
    gain: Parts
    noise: Scalar


class _Gain(eqx.Module):
    """A gain in groups: the step it makes of the errors, and its square root."""

    step: Parts
    gain: Parts
    noise: Scalar
    log_evidence: Scalar


def _gain(
    prior: KalmanCovariance, at: Observed, error: Float[Array, " errors"], noise: Scalar
) -> _Gain:
    """The step of the weights, given that the errors are zero up to noise.

    A missing entry has no gradient and no error, and so changes nothing.
    """
    count = error.size
    spread = prior.times(at.more)
    flat = lambda parts: jnp.concatenate(  # noqa: E731
        [part.reshape(count, -1) for part in parts], axis=-1
    )
    explained = flat(spread) @ flat(at.more).T
    noise = resolved(noise, explained)
    factor = jnp.linalg.cholesky(explained + noise * jnp.eye(count, dtype=error.dtype))
    inverse = inverse_factor(factor)
    whitened = inverse @ error
    gains = tuple((inverse @ s.reshape(count, -1)).reshape(s.shape) for s in spread)
    step = tuple(-jnp.einsum("ebi,e->bi", gain, whitened) for gain in gains)
    return _Gain(step, gains, noise, gaussian_log_density(whitened, factor, at.seen))


def _linearised(errors: Errors, weights: PyTree, blocks: Blocks) -> Observed:
    """Row by row, since each row's errors depend on that row alone."""

    def of_row(row: PyTree) -> tuple[Array, Any]:
        error, pull_back = jax.vjp(lambda w: errors.of_row(w, row), weights)
        (jacobian,) = jax.vmap(pull_back)(jnp.eye(error.shape[0], dtype=error.dtype))
        return error, jax.vmap(lambda j: grouped(j, blocks))(jacobian)

    error, jacobian = jax.vmap(of_row)(errors.batch)
    at = observed(error.reshape(-1))
    parts = tuple(
        jnp.where(at.seen[:, None, None] > 0, part.reshape(error.size, *part.shape[2:]), 0)
        for part in jacobian
    )
    return at._replace(more=parts)
