from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree, Scalar, UInt

from ._filter import (
    AbstractFilter,
    Errors,
    FilterState,
    Found,
    Observed,
    gaussian_log_density,
    resolved,
)
from ._posterior import SampledPosterior
from ._triangular import inverse_factor

Model = TypeVar("Model")
Batch = TypeVar("Batch")


class EnsembleLearner(AbstractFilter[Model, Batch]):
    """The ensemble Kalman filter: the covariance is that of some members.

    In its deterministic form, the ensemble transform filter with the symmetric square root
    (Bishop, Etherton & Majumdar 2001; Hunt, Kostelich & Szunyogh 2007): no observation is
    perturbed, and the members' mean is exactly the new one. Nothing is differentiated, and
    an update costs one evaluation for each member.

    Members differ in fewer directions than there are of them, and outside of those nothing
    is learned: expect much less than of `ekf` from networks, unless `members` comes near
    the number of weights. Fading memory or process noise keep them from collapsing.

    **Arguments:** those of [`lagdyna.learners.AbstractFilter`][], and

    - `members`: how many, at least 2.
    - `seed`: of the first members, and of process noise.

    **Raises:** `ValueError` if one of them is out of its range.
    """

    members: int = eqx.field(static=True, default=128, kw_only=True)
    seed: int | UInt[Array, ""] = eqx.field(default=0, kw_only=True)

    def __check_init__(self):
        if self.members < 2:
            raise ValueError(f"`members` must be at least 2, got {self.members}")

    def _prior(self, weights: PyTree) -> Float[Array, "members size"]:
        mean, _ = ravel_pytree(weights)
        return self._random(self.prior, jnp.zeros(()), mean)

    def _random(
        self, deviation: float | Scalar, updates: Scalar, like: Float[Array, " size"]
    ) -> Float[Array, "members size"]:
        """Deviations whose mean is zero and whose variance is right on average."""
        key = jax.random.fold_in(jax.random.key(self.seed), updates.astype(int))
        drawn = jax.random.normal(key, (self.members, like.size), like.dtype)
        return deviation * (drawn - jnp.mean(drawn, axis=0))

    def _predicted(self, state: FilterState) -> Float[Array, "members size"]:
        members = state.belief / self.fading**0.5
        if not self.process:
            return members
        more = self._random(jnp.sqrt(state.process), 1 + state.updates, members[0])
        return members + more

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
        each = jax.vmap(lambda d: errors(unravel(mean + d)))(belief)
        each = jnp.where(at.seen > 0, each, 0)
        # A member whose model breaks down says nothing, and comes half the way back.
        whole = jnp.all(jnp.isfinite(each), axis=1, keepdims=True)
        each = jnp.where(whole, each, at.error)
        belief = jnp.where(whole, belief, 0.5 * belief)
        offset = jnp.mean(belief, axis=0)
        belief = belief - offset
        expected = jnp.mean(each, axis=0)
        spread = (each - expected) / (self.members - 1) ** 0.5
        explained = spread.T @ spread
        noise = resolved(noise, explained)
        factor = jnp.linalg.cholesky(
            explained + noise * jnp.eye(expected.size, dtype=expected.dtype)
        )
        inverse = inverse_factor(factor)
        whitened = inverse @ expected
        share = spread @ (inverse.T @ whitened) / (self.members - 1) ** 0.5
        # (I + Z Z' / R)^-1/2, the symmetric root, which leaves the mean where it is.
        values, vectors = jnp.linalg.eigh(spread @ spread.T)
        shrunk = 1 / jnp.sqrt(1 + jnp.maximum(values, 0) / noise)
        members = vectors @ (shrunk[:, None] * (vectors.T @ belief))
        evidence = gaussian_log_density(whitened, factor, at.seen)
        return Found(
            unravel(offset - share @ belief), members - jnp.mean(members, axis=0), evidence
        )

    def _posterior(
        self, weights: PyTree, rest: PyTree, state: FilterState
    ) -> SampledPosterior[Model]:
        even = jnp.full(self.members, 1 / self.members, state.belief.dtype)
        # Divided by one less, as their covariance is.
        grown = state.belief * (self.members / (self.members - 1)) ** 0.5
        return SampledPosterior.of(weights, rest, grown, even, state.noise)


class Particles(eqx.Module):
    """Weights that may be the true ones, and how probable each is.

    **Attributes:** `deviations` from their mean, `(particles, size)`; `log_probability`,
    `(particles,)`.
    """

    deviations: Float[Array, "particles size"]
    log_probability: Float[Array, " particles"]


class ParticleLearner(AbstractFilter[Model, Batch]):
    """The bootstrap particle filter, with resampling and a shrunk kernel.

    Every particle is a whole model, whose probability is multiplied by what it says of
    each observation (Gordon, Salmond & Smith 1993). Once they are worth fewer than half
    their number, they are resampled, systematically, and moved a little by the kernel of
    Liu & West (2001), which keeps their mean and variance.

    **It degenerates in high dimension.** The number of particles that is needed grows
    exponentially with the number of weights that data determine: for a known system with a
    handful of parameters, one that other filters cannot approximate since its posterior has
    several peaks, it is the best filter here; for a network it is the worst.

    **Arguments:** those of [`lagdyna.learners.AbstractFilter`][], and

    - `particles`: how many, at least 2.
    - `kernel`: its width in standard deviations of the particles, below 1.
    - `seed`: of everything random.

    **Raises:** `ValueError` if one of them is out of its range.
    """

    particles: int = eqx.field(static=True, default=1024, kw_only=True)
    kernel: float = eqx.field(static=True, default=0.1, kw_only=True)
    seed: int | UInt[Array, ""] = eqx.field(default=0, kw_only=True)

    def __check_init__(self):
        if self.particles < 2:
            raise ValueError(f"`particles` must be at least 2, got {self.particles}")
        if not 0 <= self.kernel < 1:
            raise ValueError(f"`kernel` must be at least 0 and below 1, got {self.kernel}")

    def _prior(self, weights: PyTree) -> Particles:
        mean, _ = ravel_pytree(weights)
        drawn = self.prior * self._normal(jnp.zeros(()), 0, mean)
        even = jnp.full(self.particles, -jnp.log(self.particles), mean.dtype)
        return Particles(drawn - jnp.mean(drawn, axis=0), even)

    def _normal(
        self, updates: Scalar, purpose: int, like: Float[Array, " size"]
    ) -> Float[Array, "particles size"]:
        return jax.random.normal(
            self._key(updates, purpose), (self.particles, like.size), like.dtype
        )

    def _key(self, updates: Scalar, purpose: int) -> Array:
        key = jax.random.fold_in(jax.random.key(self.seed), purpose)
        return jax.random.fold_in(key, updates.astype(int))

    def _predicted(self, state: FilterState) -> Particles:
        belief = state.belief
        # To forget is to make all particles more alike in probability.
        log_probability = jax.nn.log_softmax(self.fading * belief.log_probability)
        if not self.process:
            return Particles(belief.deviations, log_probability)
        walked = self._normal(state.updates, 1, belief.deviations[0])
        return Particles(belief.deviations + jnp.sqrt(state.process) * walked, log_probability)

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
        each = jax.vmap(lambda d: errors(unravel(mean + d)))(belief.deviations)
        squares = jnp.where(at.seen > 0, each, 0) ** 2 / noise
        logs = -0.5 * jnp.sum(squares + at.seen * jnp.log(2 * jnp.pi * noise), axis=1)
        # A particle whose model breaks down is next to impossible.
        worst = jnp.min(jnp.where(jnp.isfinite(logs), logs, jnp.inf))
        logs = jnp.where(jnp.isfinite(logs), logs, worst - 50)
        joint = belief.log_probability + logs
        evidence = jax.scipy.special.logsumexp(joint)
        log_probability = joint - evidence
        probability = jnp.exp(log_probability)
        step = probability @ belief.deviations
        after = Particles(belief.deviations - step, log_probability)
        few = jnp.sum(probability**2) > 2 / self.particles
        after = jax.lax.cond(few, lambda p: self._resampled(p, updates), lambda p: p, after)
        off = jnp.exp(after.log_probability) @ after.deviations
        after = Particles(after.deviations - off, after.log_probability)
        return Found(unravel(step + off), after, evidence)

    def _resampled(self, old: Particles, updates: Scalar) -> Particles:
        """As many particles, equally probable, each near an old one."""
        count, dtype = self.particles, old.deviations.dtype
        probability = jnp.exp(old.log_probability)
        start = jax.random.uniform(self._key(updates, 2), (), dtype)
        comb = (start + jnp.arange(count, dtype=dtype)) / count
        chosen = jnp.searchsorted(jnp.cumsum(probability), comb)
        chosen = old.deviations[jnp.minimum(chosen, count - 1)]
        spread = jnp.sqrt(probability @ old.deviations**2)
        moves = spread * self._normal(updates, 3, spread)
        near = jnp.sqrt(1 - self.kernel**2) * chosen + self.kernel * moves
        return Particles(near, jnp.full(count, -jnp.log(count), dtype))

    def _posterior(
        self, weights: PyTree, rest: PyTree, state: FilterState
    ) -> SampledPosterior[Model]:
        belief = state.belief
        probability = jax.nn.softmax(belief.log_probability)
        return SampledPosterior.of(weights, rest, belief.deviations, probability, state.noise)
