from typing import Any, ClassVar, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree, Scalar

from ._covariance import RootCovariance
from ._filter import (
    AbstractFilter,
    Correction,
    Errors,
    FilterState,
    Innovation,
    bounded_noise,
    gaussian_log_density,
)
from ._posterior import GaussianPosterior
from ._triangular import inverse_factor

Model = TypeVar("Model")
Batch = TypeVar("Batch")

_BATCH_SIZE = 256  # pairs of sigma points evaluated in one batch


class SigmaPointLearner(AbstractFilter[Model, Batch]):
    """The cubature and the unscented Kalman filter, in square-root form.

    With `P` weights, an update evaluates the model at the mean and at `2 P` sigma points.
    These lie `sqrt(c)` standard deviations from the mean, `c = alpha^2 (P + kappa)`. The
    filter needs no derivatives. The parameters select the filter:

    - `alpha = 1`, `beta = kappa = 0` (the default): the cubature filter (Arasaratnam & Haykin
        2009, Cubature Kalman filters);
    - other values: the scaled unscented filter (Wan & van der Merwe 2000, The unscented
        Kalman filter for nonlinear estimation).

    Use it for up to a few hundred weights, or for observations without a derivative. The
    state holds a square root of the covariance, updated by Andrews' formula (1968, A square
    root formulation of the Kalman covariance equations). Rounding therefore cannot make the
    covariance indefinite.

    **Arguments:** those of [`lagdyna.filters.AbstractFilter`][], and

    - `alpha`: spread of the sigma points, in (0, 1]. With many weights, distant points lie
        where the model is far from linear, and are less informative about the mean.
    - `beta`: weight of the mean in the covariance, at least 0. 2 is optimal for Gaussian
        weights and quadratic observations.
    - `kappa`: secondary scaling of the spread, at least 0.

    **Raises:** `ValueError` if an argument is out of its range.
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

    def _init_belief(self, weights: PyTree) -> RootCovariance:
        return RootCovariance.isotropic(weights, self.prior)

    def _predict(self, state: FilterState) -> RootCovariance:
        return state.belief.predicted(self.fading, state.process if self.process else None)

    def _condition(
        self,
        errors: Errors,
        weights: PyTree,
        belief: Any,
        innovation: Innovation,
        noise: Scalar,
        updates: Scalar,
    ) -> Correction:
        mean, unravel = ravel_pytree(weights)
        size, c = mean.size, self.alpha**2 * (mean.size + self.kappa)
        offsets = jnp.sqrt(c) * belief.root

        def evaluate(offset: Array) -> tuple[Array, Array]:
            plus, minus = errors(unravel(mean + offset)), errors(unravel(mean - offset))
            observed = innovation.mask > 0
            return jnp.where(observed, plus, 0), jnp.where(observed, minus, 0)

        plus, minus = jax.lax.map(evaluate, offsets.T, batch_size=min(size, _BATCH_SIZE))
        # Give a pair with non-finite errors those of the mean, and halve its column.
        finite = jnp.all(jnp.isfinite(plus) & jnp.isfinite(minus), axis=1, keepdims=True)
        plus = jnp.where(finite, plus, innovation.error)
        minus = jnp.where(finite, minus, innovation.error)
        prior = jnp.where(finite[:, 0], belief.root, 0.5 * belief.root)
        mean_weight = 1 - size / c
        middle = 0.5 * (plus + minus)
        expected = mean_weight * innovation.error + jnp.sum(middle, axis=0) / c
        odd = (plus - minus) / (2 * jnp.sqrt(c))
        even = middle - expected
        deviation = innovation.error - expected
        weight = mean_weight + 1 - self.alpha**2 + self.beta
        curvature = even.T @ even / c + weight * jnp.outer(deviation, deviation)
        if weight < 0:
            curvature = _nearest_semidefinite(curvature)
        explained = odd.T @ odd
        noise = bounded_noise(noise, explained + curvature)
        residual = curvature + noise * jnp.eye(deviation.size, dtype=deviation.dtype)
        factor = jnp.linalg.cholesky(explained + residual)
        inverse = inverse_factor(factor)
        whitened = inverse @ expected
        gain = prior @ (odd @ inverse.T)
        step = -gain @ whitened
        residual_factor = jnp.linalg.cholesky(residual)
        correction = inverse_factor(factor + residual_factor) @ odd.T
        root = RootCovariance(prior - gain @ correction)
        evidence = gaussian_log_density(whitened, factor, innovation.mask)
        return Correction(unravel(step), root, evidence)

    def _posterior(
        self, weights: PyTree, rest: PyTree, state: FilterState
    ) -> GaussianPosterior[Model]:
        return GaussianPosterior.of(weights, rest, state.belief, state.noise)


def _nearest_semidefinite(matrix: Float[Array, "k k"]) -> Float[Array, "k k"]:
    """Project a symmetric matrix onto the positive semidefinite ones."""
    values, vectors = jnp.linalg.eigh(matrix)
    return (vectors * jnp.maximum(values, 0)) @ vectors.T
