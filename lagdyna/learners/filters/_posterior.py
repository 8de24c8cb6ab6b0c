import abc
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, Scalar

from .._losses import AbstractSquaredLoss
from ._covariance import AbstractCovariance

Model = TypeVar("Model")
Other = TypeVar("Other")
LEVELS = (0.5, 0.9, 0.99)

_AT_ONCE = 64  # rows of data that are looked at side by side


class Prediction(NamedTuple):
    """What a posterior says of an output.

    **Attributes:** `mean`, shaped like the output; `covariance` of its entries in their
    order, `(size, size)`, of the weights' uncertainty alone.
    """

    mean: Array
    covariance: Float[Array, "size size"]


class AbstractPosterior(eqx.Module, Generic[Model]):
    """What data have left open of a model: a distribution of models, in its units.

    **Attributes:**

    - `noise`: variance of an observation, in the units of the loss's scales, for all
        entries or for each entry of a row.
    - `temperature`: what the standard deviation of every weight is multiplied by; 1,
        unless [`lagdyna.learners.calibrated`][] found another.
    """

    _weights: eqx.AbstractVar[PyTree]
    _assemble: eqx.AbstractVar[Callable[[PyTree], Model]]
    noise: eqx.AbstractVar[Float[Array, "..."]]
    temperature: eqx.AbstractVar[Scalar]

    @abc.abstractmethod
    def _deviations(self, key: PRNGKeyArray, count: int) -> PyTree:
        """Random deviations of the weights, with a leading axis."""

    @abc.abstractmethod
    def _spread(self, function: Callable[[PyTree], Array]) -> tuple[Array, Array]:
        """A vector function at the mean, and the covariance of its entries."""

    @property
    def mean(self) -> Model:
        """The model of the mean weights."""
        return self._assemble(self._weights)

    def predict(self, function: Callable[[Model], Array]) -> Prediction:
        """The mean and the covariance of any output of the model.

        By a linearisation about the mean, or over samples if those are what is kept.

        **Arguments:** `function`: of a model, gives an array, of any shape and unit.
        """
        shape = jax.eval_shape(lambda w: function(self._assemble(w)), self._weights).shape
        mean, covariance = self._spread(lambda w: function(self._assemble(w)).reshape(-1))
        return Prediction(mean.reshape(shape), self.temperature**2 * covariance)

    def sample(self, key: PRNGKeyArray, count: int) -> Model:
        """`count` models drawn from the posterior, as one with a leading axis on its arrays.

        Each is as much a model as the mean is: a DeLaN's mass matrix is positive definite.
        Use them with `equinox.filter_vmap`.
        """

        def one(deviation: PyTree) -> Model:
            moved = jax.tree.map(
                lambda w, d: w + self.temperature.astype(w.dtype) * d, self._weights, deviation
            )
            return self._assemble(moved)

        return eqx.filter_vmap(one)(self._deviations(key, count))

    def tempered(self, temperature: float | Scalar) -> "AbstractPosterior[Model]":
        """The same posterior at another temperature."""
        found = jnp.asarray(temperature, self.temperature.dtype)
        return eqx.tree_at(lambda p: p.temperature, self, found)

    def with_noise(self, noise: Float[Array, "..."]) -> "AbstractPosterior[Model]":
        """The same posterior with another variance of observations."""
        found = jnp.asarray(noise, self.temperature.dtype)
        return eqx.tree_at(lambda p: p.noise, self, found)

    def with_noise_of(
        self, loss: AbstractSquaredLoss[Model, Any], batch: PyTree
    ) -> "AbstractPosterior[Model]":
        """The posterior with the noise that each entry of a row has in some data.

        A filter has one noise for all entries; those of some may be larger than of others.

        **Arguments:** `loss`, the one that was learned from; `batch`, with leading axes.
        """

        def squares(row: PyTree) -> Array:
            found = loss.observed_errors(self.mean, row)
            return found.shape[0] * found**2

        rows = jax.tree.leaves(batch)[0].shape[0]
        each = jax.lax.map(squares, batch, batch_size=min(rows, _AT_ONCE))
        return self.with_noise(jnp.nanmean(each, axis=0))

    def transformed(self, function: Callable[[Model], Other]) -> "AbstractPosterior[Other]":
        """The posterior of what a function makes of the model, say of a part of it."""
        inner = self._assemble
        return eqx.tree_at(
            lambda p: p._assemble,
            self,
            lambda weights: function(inner(weights)),
            is_leaf=lambda x: x is inner,
        )

    def standardised_errors(
        self, loss: AbstractSquaredLoss[Model, Any], batch: PyTree
    ) -> Float[Array, " errors"]:
        """Errors divided by the standard deviations that they should have, noise included.

        **Arguments:** `loss`, the one that was learned from; `batch`, with leading axes.

        **Returns:** one number for each observed entry, `nan` where one is missing.
        """

        found, variance = self._errors(loss, batch)
        total = self.temperature**2 * variance + self.noise
        return (found / jnp.sqrt(total)).reshape(-1)

    def _errors(
        self, loss: AbstractSquaredLoss[Model, Any], batch: PyTree
    ) -> tuple[Float[Array, "rows k"], Float[Array, "rows k"]]:
        """Errors of every row, and their variance for the weights' sake, at temperature 1."""

        def of_row(row: PyTree) -> tuple[Array, Array]:
            def errors(weights: PyTree) -> Array:
                found = loss.observed_errors(self._assemble(weights), row)
                return found * jnp.sqrt(found.shape[0])

            found, covariance = self._spread(errors)
            return found, jnp.diagonal(covariance)

        rows = jax.tree.leaves(batch)[0].shape[0]
        return jax.lax.map(of_row, batch, batch_size=min(rows, _AT_ONCE))


class GaussianPosterior(AbstractPosterior[Model]):
    """Normally distributed weights.

    **Attributes:** those of [`lagdyna.learners.AbstractPosterior`][], and `covariance`, an
    [`lagdyna.learners.AbstractCovariance`][].
    """

    _weights: PyTree
    _assemble: Callable[[PyTree], Model]
    covariance: AbstractCovariance
    noise: Float[Array, "..."]
    temperature: Scalar

    @classmethod
    def of(
        cls, weights: PyTree, rest: PyTree, covariance: AbstractCovariance, noise: Scalar
    ) -> "GaussianPosterior":
        """The posterior about weights, with the `rest` of the model beside them."""
        return cls(
            _weights=weights,
            _assemble=_Assemble(rest),
            covariance=covariance,
            noise=noise,
            temperature=jnp.ones((), noise.dtype),
        )

    def _deviations(self, key: PRNGKeyArray, count: int) -> PyTree:
        keys = jax.random.split(key, count)
        parts = jax.vmap(self.covariance.deviation)(keys)
        return jax.vmap(lambda p: self.covariance.ungrouped(p, self._weights))(parts)

    def _spread(self, function: Callable[[PyTree], Array]) -> tuple[Array, Array]:
        value, pull_back = jax.vjp(function, self._weights)
        (jacobian,) = jax.vmap(pull_back)(jnp.eye(value.size, dtype=value.dtype))
        parts = jax.vmap(self.covariance.grouped)(jacobian)
        pairs = zip(self.covariance.times(parts), parts, strict=True)
        flat = [(s.reshape(value.size, -1), j.reshape(value.size, -1)) for s, j in pairs]
        return value, sum((s @ j.T for s, j in flat), jnp.zeros((value.size,) * 2, value.dtype))


class SampledPosterior(AbstractPosterior[Model]):
    """Weights of which some members are known.

    **Attributes:** those of [`lagdyna.learners.AbstractPosterior`][], and `members`, deviations
    from the mean, `(members, size)`, with the `probability` of each.
    """

    _weights: PyTree
    _assemble: Callable[[PyTree], Model]
    members: Float[Array, "members size"]
    probability: Float[Array, " members"]
    noise: Float[Array, "..."]
    temperature: Scalar

    @classmethod
    def of(
        cls,
        weights: PyTree,
        rest: PyTree,
        members: Float[Array, "members size"],
        probability: Float[Array, " members"],
        noise: Scalar,
    ) -> "SampledPosterior":
        """The posterior about weights, with the `rest` of the model beside them."""
        return cls(
            _weights=weights,
            _assemble=_Assemble(rest),
            members=members,
            probability=probability,
            noise=noise,
            temperature=jnp.ones((), noise.dtype),
        )

    def _deviations(self, key: PRNGKeyArray, count: int) -> PyTree:
        chosen = jax.random.choice(key, self.members, (count,), p=self.probability, axis=0)
        return jax.vmap(ravel_pytree(self._weights)[1])(chosen)

    def _spread(self, function: Callable[[PyTree], Array]) -> tuple[Array, Array]:
        flat, unravel = ravel_pytree(self._weights)
        each = jax.vmap(lambda d: function(unravel(flat + d)))(self.members)
        mean = self.probability @ each
        off = each - mean
        return mean, (off * self.probability[:, None]).T @ off


class _Assemble(eqx.Module):
    """Weights, with the rest of their model."""

    rest: PyTree

    def __call__(self, weights: PyTree) -> Any:
        return eqx.combine(weights, self.rest)


def coverage(
    standardised: Float[Array, " errors"], levels: Sequence[float] = LEVELS
) -> Float[Array, " levels"]:
    """Which fraction of standardised errors lies within each central interval.

    Of a calibrated posterior the fractions are the levels. Missing errors do not count.

    **Arguments:** `standardised`, see
    [`lagdyna.learners.AbstractPosterior.standardised_errors`][]; `levels`, between 0 and 1.
    """
    seen = ~jnp.isnan(standardised)
    edges = jax.scipy.stats.norm.ppf(0.5 + 0.5 * jnp.asarray(levels))
    inside = jnp.abs(standardised)[None] <= edges[:, None]
    return jnp.sum(inside & seen, axis=1) / jnp.maximum(jnp.sum(seen), 1)


def calibrated(
    posterior: AbstractPosterior[Model], loss: AbstractSquaredLoss[Model, Any], batch: PyTree
) -> AbstractPosterior[Model]:
    """The posterior with the temperature and the noise that suit data not learned from.

    The temperature, and a factor of the noise, that make the batch most probable, out of a
    grid of each. Judge the posterior on further data.

    **Arguments:** `posterior`; `loss`, the one that was learned from; `batch`, with leading
    axes.
    """
    errors, variance = posterior._errors(loss, batch)
    seen = ~jnp.isnan(errors)
    errors = jnp.where(seen, errors, 0)

    def log_density(temperature: Scalar, factor: Scalar) -> Scalar:
        total = temperature**2 * variance + factor**2 * posterior.noise
        return -0.5 * jnp.sum(jnp.where(seen, errors**2 / total + jnp.log(total), 0))

    temperatures, factors = jnp.geomspace(1e-2, 1e2, 161), jnp.geomspace(0.2, 5.0, 65)
    found = jax.vmap(lambda t: jax.vmap(lambda f: log_density(t, f))(factors))(temperatures)
    best, which = jnp.unravel_index(jnp.argmax(found), found.shape)
    warm = posterior.tempered(temperatures[best])
    return warm.with_noise(factors[which] ** 2 * posterior.noise)
