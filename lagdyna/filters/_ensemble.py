from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree, Scalar, UInt

from ._filter import (
    AbstractFilter,
    Correction,
    Errors,
    FilterState,
    Innovation,
    bounded_noise,
    gaussian_log_density,
)
from ._posterior import SampledPosterior
from ._triangular import inverse_factor

Model = TypeVar("Model")
Batch = TypeVar("Batch")


class EnsembleLearner(AbstractFilter[Model, Batch]):
    """The ensemble Kalman filter: the covariance is that of an ensemble of weights.

    It is the deterministic form, the ensemble transform filter with the symmetric square root
    (Bishop, Etherton & Majumdar 2001; Hunt, Kostelich & Szunyogh 2007). Observations are not
    perturbed, and the mean of the members is exactly the updated mean. The filter needs no
    derivatives. An update evaluates the model once for each member.

    The members span fewer directions than their number, and the filter learns only within
    this span. On networks, expect it to be far less accurate than
    [`lagdyna.filters.KalmanLearner`][] unless `members` is close to the number of weights.
    Use `fading` or `process` to prevent the ensemble from collapsing.

    **Arguments:** those of [`lagdyna.filters.AbstractFilter`][], and

    - `members`: the number of ensemble members, at least 2.
    - `seed`: random seed of the initial members and of the process noise.

    **Raises:** `ValueError` if an argument is out of its range.
    """

    members: int = eqx.field(static=True, default=128, kw_only=True)
    seed: int | UInt[Array, ""] = eqx.field(default=0, kw_only=True)

    def __check_init__(self):
        if self.members < 2:
            raise ValueError(f"`members` must be at least 2, got {self.members}")

    def _init_belief(self, weights: PyTree) -> Float[Array, "members size"]:
        mean, _ = ravel_pytree(weights)
        return self._random(self.prior, jnp.zeros(()), mean)

    def _random(
        self, deviation: float | Scalar, updates: Scalar, like: Float[Array, " size"]
    ) -> Float[Array, "members size"]:
        """Sample deviations with a mean of exactly zero and unbiased variance."""
        key = jax.random.fold_in(jax.random.key(self.seed), updates.astype(int))
        drawn = jax.random.normal(key, (self.members, like.size), like.dtype)
        return deviation * (drawn - jnp.mean(drawn, axis=0))

    def _predict(self, state: FilterState) -> Float[Array, "members size"]:
        members = state.belief / self.fading**0.5
        if not self.process:
            return members
        walk = self._random(jnp.sqrt(state.process), 1 + state.updates, members[0])
        return members + walk

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
        each = jax.vmap(lambda d: errors(unravel(mean + d)))(belief)
        each = jnp.where(innovation.mask > 0, each, 0)
        # Give a member with non-finite errors those of the mean, and halve its deviation.
        finite = jnp.all(jnp.isfinite(each), axis=1, keepdims=True)
        each = jnp.where(finite, each, innovation.error)
        belief = jnp.where(finite, belief, 0.5 * belief)
        offset = jnp.mean(belief, axis=0)
        belief = belief - offset
        expected = jnp.mean(each, axis=0)
        spread = (each - expected) / (self.members - 1) ** 0.5
        explained = spread.T @ spread
        noise = bounded_noise(noise, explained)
        factor = jnp.linalg.cholesky(
            explained + noise * jnp.eye(expected.size, dtype=expected.dtype)
        )
        inverse = inverse_factor(factor)
        whitened = inverse @ expected
        coefficients = spread @ (inverse.T @ whitened) / (self.members - 1) ** 0.5
        # The symmetric root (I + Z Z' / R)^-1/2 keeps the mean of the members unchanged.
        values, vectors = jnp.linalg.eigh(spread @ spread.T)
        shrunk = 1 / jnp.sqrt(1 + jnp.maximum(values, 0) / noise)
        members = vectors @ (shrunk[:, None] * (vectors.T @ belief))
        evidence = gaussian_log_density(whitened, factor, innovation.mask)
        return Correction(
            unravel(offset - coefficients @ belief),
            members - jnp.mean(members, axis=0),
            evidence,
        )

    def _posterior(
        self, weights: PyTree, rest: PyTree, state: FilterState
    ) -> SampledPosterior[Model]:
        uniform = jnp.full(self.members, 1 / self.members, state.belief.dtype)
        # Scale the members so that their variance is the unbiased sample variance.
        members = state.belief * (self.members / (self.members - 1)) ** 0.5
        return SampledPosterior.of(weights, rest, members, uniform, state.noise)


class Particles(eqx.Module):
    """Weighted particles, the belief of a [`lagdyna.filters.ParticleLearner`][].

    **Attributes:**

    - `deviations`: deviations of the particles from their mean, shape `(particles, size)`.
    - `log_probability`: logarithm of the particle weights, shape `(particles,)`.
    """

    deviations: Float[Array, "particles size"]
    log_probability: Float[Array, " particles"]


class ParticleLearner(AbstractFilter[Model, Batch]):
    """The bootstrap particle filter, with resampling and kernel shrinkage.

    Each particle is one setting of all weights. Its probability is multiplied by the
    likelihood of each batch (Gordon, Salmond & Smith 1993). Once the effective sample size is
    below half the number of particles, they are resampled systematically. They are then
    perturbed by the shrinkage kernel of Liu & West (2001), which keeps their mean and
    variance.

    **It degenerates in high dimension.** The number of particles needed grows exponentially
    with the number of weights that the data determine. Use it for known systems with a few
    parameters and a posterior of several modes, which other filters cannot represent. Do not
    use it for networks.

    **Arguments:** those of [`lagdyna.filters.AbstractFilter`][], and

    - `particles`: the number of particles, at least 2.
    - `kernel`: width of the kernel, in standard deviations of the particles, in [0, 1).
    - `seed`: random seed of particles, process noise and resampling.

    **Raises:** `ValueError` if an argument is out of its range.
    """

    particles: int = eqx.field(static=True, default=1024, kw_only=True)
    kernel: float = eqx.field(static=True, default=0.1, kw_only=True)
    seed: int | UInt[Array, ""] = eqx.field(default=0, kw_only=True)

    def __check_init__(self):
        if self.particles < 2:
            raise ValueError(f"`particles` must be at least 2, got {self.particles}")
        if not 0 <= self.kernel < 1:
            raise ValueError(f"`kernel` must be at least 0 and below 1, got {self.kernel}")

    def _init_belief(self, weights: PyTree) -> Particles:
        mean, _ = ravel_pytree(weights)
        drawn = self.prior * self._normal(jnp.zeros(()), 0, mean)
        uniform = jnp.full(self.particles, -jnp.log(self.particles), mean.dtype)
        return Particles(drawn - jnp.mean(drawn, axis=0), uniform)

    def _normal(
        self, updates: Scalar, purpose: int, like: Float[Array, " size"]
    ) -> Float[Array, "particles size"]:
        return jax.random.normal(
            self._key(updates, purpose), (self.particles, like.size), like.dtype
        )

    def _key(self, updates: Scalar, purpose: int) -> Array:
        key = jax.random.fold_in(jax.random.key(self.seed), purpose)
        return jax.random.fold_in(key, updates.astype(int))

    def _predict(self, state: FilterState) -> Particles:
        belief = state.belief
        # Forgetting makes the probabilities of the particles more equal.
        log_probability = jax.nn.log_softmax(self.fading * belief.log_probability)
        if not self.process:
            return Particles(belief.deviations, log_probability)
        walk = self._normal(state.updates, 1, belief.deviations[0])
        return Particles(belief.deviations + jnp.sqrt(state.process) * walk, log_probability)

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
        each = jax.vmap(lambda d: errors(unravel(mean + d)))(belief.deviations)
        mask = innovation.mask
        squares = jnp.where(mask > 0, each, 0) ** 2 / noise
        log_likelihood = -0.5 * jnp.sum(squares + mask * jnp.log(2 * jnp.pi * noise), axis=1)
        # A particle with non-finite errors gets a negligible but finite likelihood.
        finite = jnp.isfinite(log_likelihood)
        lowest = jnp.min(jnp.where(finite, log_likelihood, jnp.inf))
        log_likelihood = jnp.where(finite, log_likelihood, lowest - 50)
        joint = belief.log_probability + log_likelihood
        evidence = jax.scipy.special.logsumexp(joint)
        log_probability = joint - evidence
        probability = jnp.exp(log_probability)
        step = probability @ belief.deviations
        particles = Particles(belief.deviations - step, log_probability)
        degenerate = jnp.sum(probability**2) > 2 / self.particles
        particles = jax.lax.cond(
            degenerate, lambda p: self._resample(p, updates), lambda p: p, particles
        )
        offset = jnp.exp(particles.log_probability) @ particles.deviations
        particles = Particles(particles.deviations - offset, particles.log_probability)
        return Correction(unravel(step + offset), particles, evidence)

    def _resample(self, particles: Particles, updates: Scalar) -> Particles:
        """Resample systematically to equal probabilities, and perturb by the kernel."""
        count, dtype = self.particles, particles.deviations.dtype
        probability = jnp.exp(particles.log_probability)
        start = jax.random.uniform(self._key(updates, 2), (), dtype)
        grid = (start + jnp.arange(count, dtype=dtype)) / count
        index = jnp.searchsorted(jnp.cumsum(probability), grid)
        chosen = particles.deviations[jnp.minimum(index, count - 1)]
        deviation = jnp.sqrt(probability @ particles.deviations**2)
        perturbation = deviation * self._normal(updates, 3, deviation)
        moved = jnp.sqrt(1 - self.kernel**2) * chosen + self.kernel * perturbation
        return Particles(moved, jnp.full(count, -jnp.log(count), dtype))

    def _posterior(
        self, weights: PyTree, rest: PyTree, state: FilterState
    ) -> SampledPosterior[Model]:
        belief = state.belief
        probability = jax.nn.softmax(belief.log_probability)
        return SampledPosterior.of(weights, rest, belief.deviations, probability, state.noise)
