from typing import Any, ClassVar, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree, Scalar

from ._covariance import RootCovariance
from ._filter import (
    AbstractFilter,
    Errors,
    FilterState,
    Found,
    Observed,
    gaussian_log_density,
    resolved,
)
from ._posterior import GaussianPosterior
from ._triangular import inverse_factor

Model = TypeVar("Model")
Batch = TypeVar("Batch")

_AT_ONCE = 256  # points that are evaluated side by side


class SigmaPointLearner(AbstractFilter[Model, Batch]):
    """The unscented and the cubature Kalman filter, in square-root form.

    Nothing is differentiated: with `P` weights the model is evaluated at `2 P` points
    about the mean, `sqrt(c)` standard deviations away, `c = alpha^2 (P + kappa)`, and at
    the mean. `alpha = 1`, `beta = kappa = 0` are the cubature filter (Arasaratnam & Haykin
    2009, Cubature Kalman filters), the default; other values the scaled unscented one
    (Wan & van der Merwe 2000, The unscented Kalman filter for nonlinear estimation).

    For a few hundred weights, or observations without a derivative. What is kept is a
    square root of the covariance, conditioned by Andrews' formula (1968, A square root
    formulation of the Kalman covariance equations), so that no rounding makes the
    covariance indefinite.

    **Arguments:** those of [`lagdyna.learners.AbstractFilter`][], and

    - `alpha`: how far out the points are, in (0, 1]. Far out, where models of many weights
        are anything but linear, says less of the mean.
    - `beta`: 2 is right for Gaussian weights and quadratic observations.
    - `kappa`: not negative.

    **Raises:** `ValueError` if one of them is out of its range.
    """

    alpha: float = eqx.field(static=True, default=1.0, kw_only=True)
    beta: float = eqx.field(static=True, default=0.0, kw_only=True)
    kappa: float = eqx.field(static=True, default=0.0, kw_only=True)

    _positive: ClassVar[tuple[str, ...]] = (*AbstractFilter._positive, "alpha")

    def __check_init__(self):
        if self.alpha > 1:
            raise ValueError(f"`alpha` must be above 0 and at most 1, got {self.alpha}")
        for name in ("beta", "kappa"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"`{name}` must not be negative, got {getattr(self, name)}")

    def _prior(self, weights: PyTree) -> RootCovariance:
        return RootCovariance.isotropic(weights, self.prior)

    def _predicted(self, state: FilterState) -> RootCovariance:
        return state.belief.predicted(self.fading, state.process if self.process else None)

    def _conditioned(
        self,
        errors: Errors,
        weights: PyTree,
        belief: Any,
        at: Observed,
        noise: Scalar,
        updates: Scalar,
    ) -> Found:
        mean, unravel = ravel_pytree(weights)
        size, c = mean.size, self.alpha**2 * (mean.size + self.kappa)
        away = jnp.sqrt(c) * belief.root

        def pair(column: Array) -> tuple[Array, Array]:
            up, down = errors(unravel(mean + column)), errors(unravel(mean - column))
            seen = at.seen > 0
            return jnp.where(seen, up, 0), jnp.where(seen, down, 0)

        up, down = jax.lax.map(pair, away.T, batch_size=min(size, _AT_ONCE))
        # A pair of which a model breaks down says nothing, and comes half the way back.
        whole = jnp.all(jnp.isfinite(up) & jnp.isfinite(down), axis=1, keepdims=True)
        up, down = jnp.where(whole, up, at.error), jnp.where(whole, down, at.error)
        before = jnp.where(whole[:, 0], belief.root, 0.5 * belief.root)
        centre = 1 - size / c
        middle = 0.5 * (up + down)
        expected = centre * at.error + jnp.sum(middle, axis=0) / c
        odd = (up - down) / (2 * jnp.sqrt(c))
        even = middle - expected
        off = at.error - expected
        weight = centre + 1 - self.alpha**2 + self.beta
        curved = even.T @ even / c + weight * jnp.outer(off, off)
        if weight < 0:
            curved = _definite(curved)
        explained = odd.T @ odd
        noise = resolved(noise, explained + curved)
        unexplained = curved + noise * jnp.eye(off.size, dtype=off.dtype)
        factor = jnp.linalg.cholesky(explained + unexplained)
        inverse = inverse_factor(factor)
        whitened = inverse @ expected
        gain = before @ (odd @ inverse.T)
        step = -gain @ whitened
        less = jnp.linalg.cholesky(unexplained)
        half = inverse_factor(factor + less) @ odd.T
        root = RootCovariance(before - gain @ half)
        evidence = gaussian_log_density(whitened, factor, at.seen)
        return Found(unravel(step), root, evidence)

    def _posterior(
        self, weights: PyTree, rest: PyTree, state: FilterState
    ) -> GaussianPosterior[Model]:
        return GaussianPosterior.of(weights, rest, state.belief, state.noise)


def _definite(matrix: Float[Array, "k k"]) -> Float[Array, "k k"]:
    """The nearest symmetric matrix without negative eigenvalues."""
    values, vectors = jnp.linalg.eigh(matrix)
    return (vectors * jnp.maximum(values, 0)) @ vectors.T
