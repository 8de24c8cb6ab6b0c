import abc
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, Scalar

from ..learners import AbstractSquaredLoss
from ._covariance import AbstractCovariance

Model = TypeVar("Model")
Other = TypeVar("Other")
LEVELS = (0.5, 0.9, 0.99)
"""Probabilities of the intervals whose coverage is measured by default."""

_BATCH_SIZE = 64  # rows of data evaluated in one batch


class Prediction(NamedTuple):
    """Predictive mean and covariance of an output of a model.

    **Attributes:**

    - `mean`: predictive mean, of the shape of the output.
    - `covariance`: covariance of the flattened output, shape `(size, size)`. It includes the
        uncertainty of the weights, but not the observation noise.
    """

    mean: Array
    covariance: Float[Array, "size size"]


class AbstractPosterior(eqx.Module, Generic[Model]):
    """Posterior distribution of a model, given the data it was learned from.

    **Attributes:**

    - `noise`: variance of the observation noise, in the units of the loss's scales: one
        number, or one for each entry of a row.
    - `temperature`: factor of the standard deviation of each weight. It is 1 unless
        [`lagdyna.filters.calibrated`][] changed it.
    """

    _weights: eqx.AbstractVar[PyTree]
    _assemble: eqx.AbstractVar[Callable[[PyTree], Model]]
    noise: eqx.AbstractVar[Float[Array, "..."]]
    temperature: eqx.AbstractVar[Scalar]

    @abc.abstractmethod
    def _sample_deviations(self, key: PRNGKeyArray, count: int) -> PyTree:
        """Sample `count` deviations of the weights, with a leading axis."""

    @abc.abstractmethod
    def _propagate(self, function: Callable[[PyTree], Array]) -> tuple[Array, Array]:
        """Compute the mean and covariance of a vector function of the weights."""

    @property
    def mean(self) -> Model:
        """Model with the mean weights."""
        return self._assemble(self._weights)

    def predict(self, function: Callable[[Model], Array]) -> Prediction:
        """Compute the predictive mean and covariance of an output of the model.

        A [`lagdyna.filters.GaussianPosterior`][] linearises the function about the mean. A
        [`lagdyna.filters.SampledPosterior`][] evaluates it at all members.

        **Arguments:**

        - `function`: a function from a model to an array of any shape and unit.

        **Returns:** a [`lagdyna.filters.Prediction`][].
        """
        shape = jax.eval_shape(lambda w: function(self._assemble(w)), self._weights).shape
        mean, covariance = self._propagate(lambda w: function(self._assemble(w)).reshape(-1))
        return Prediction(mean.reshape(shape), self.temperature**2 * covariance)

    def sample(self, key: PRNGKeyArray, count: int) -> Model:
        """Sample `count` models from the posterior.

        Each sample keeps the structure of the model: a DeLaN's mass matrix stays positive
        definite. Use `equinox.filter_vmap` to evaluate the samples.

        **Arguments:**

        - `key`: random key.
        - `count`: the number of samples.

        **Returns:** a model whose arrays have a leading axis of length `count`.
        """

        def perturb(deviation: PyTree) -> Model:
            moved = jax.tree.map(
                lambda w, d: w + self.temperature.astype(w.dtype) * d, self._weights, deviation
            )
            return self._assemble(moved)

        return eqx.filter_vmap(perturb)(self._sample_deviations(key, count))

    def tempered(self, temperature: float | Scalar) -> "AbstractPosterior[Model]":
        """Return a copy of the posterior with another temperature."""
        value = jnp.asarray(temperature, self.temperature.dtype)
        return eqx.tree_at(lambda p: p.temperature, self, value)

    def with_noise(self, noise: Float[Array, "..."]) -> "AbstractPosterior[Model]":
        """Return a copy of the posterior with another observation noise variance.

        **Arguments:**

        - `noise`: the variance, one number or one for each entry of a row.
        """
        value = jnp.asarray(noise, self.temperature.dtype)
        return eqx.tree_at(lambda p: p.noise, self, value)

    def with_noise_of(
        self, loss: AbstractSquaredLoss[Model, Any], batch: PyTree
    ) -> "AbstractPosterior[Model]":
        """Return a copy with the noise variance of each entry of a row, estimated from data.

        A filter estimates one noise variance for all entries. Use this method if some entries
        are noisier than others.

        **Arguments:**

        - `loss`: the loss that the model was learned with.
        - `batch`: data with one leading axis.
        """

        def squares(row: PyTree) -> Array:
            errors = loss.observed_errors(self.mean, row)
            return errors.shape[0] * errors**2

        rows = jax.tree.leaves(batch)[0].shape[0]
        each = jax.lax.map(squares, batch, batch_size=min(rows, _BATCH_SIZE))
        return self.with_noise(jnp.nanmean(each, axis=0))

    def transformed(self, function: Callable[[Model], Other]) -> "AbstractPosterior[Other]":
        """Return the posterior of a function of the model, say of one of its parts.

        **Arguments:**

        - `function`: a function from a model to a part of it or to another PyTree.
        """
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
        """Divide the errors by their predictive standard deviations, noise included.

        Standardised errors of a calibrated posterior have unit variance.

        **Arguments:**

        - `loss`: the loss that the model was learned with.
        - `batch`: data with one leading axis.

        **Returns:** one number for each entry, `nan` where it is missing.
        """

        errors, variance = self._errors_and_variances(loss, batch)
        total = self.temperature**2 * variance + self.noise
        return (errors / jnp.sqrt(total)).reshape(-1)

    def _errors_and_variances(
        self, loss: AbstractSquaredLoss[Model, Any], batch: PyTree
    ) -> tuple[Float[Array, "rows k"], Float[Array, "rows k"]]:
        """Compute the errors of each row and their noise-free variances at temperature 1."""

        def of_row(row: PyTree) -> tuple[Array, Array]:
            def errors(weights: PyTree) -> Array:
                row_errors = loss.observed_errors(self._assemble(weights), row)
                return row_errors * jnp.sqrt(row_errors.shape[0])

            mean, covariance = self._propagate(errors)
            return mean, jnp.diagonal(covariance)

        rows = jax.tree.leaves(batch)[0].shape[0]
        return jax.lax.map(of_row, batch, batch_size=min(rows, _BATCH_SIZE))


class GaussianPosterior(AbstractPosterior[Model]):
    """Posterior with normally distributed weights.

    **Attributes:** those of [`lagdyna.filters.AbstractPosterior`][], and

    - `covariance`: an [`lagdyna.filters.AbstractCovariance`][].
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
        """Build the posterior from mean weights and a covariance.

        **Arguments:**

        - `weights`: the mean weights, a partition of the model.
        - `rest`: the other partition of the model.
        - `covariance`: covariance of the weights.
        - `noise`: variance of the observation noise.
        """
        return cls(
            _weights=weights,
            _assemble=_Combine(rest),
            covariance=covariance,
            noise=noise,
            temperature=jnp.ones((), noise.dtype),
        )

    def _sample_deviations(self, key: PRNGKeyArray, count: int) -> PyTree:
        keys = jax.random.split(key, count)
        parts = jax.vmap(self.covariance.deviation)(keys)
        return jax.vmap(lambda p: self.covariance.ungrouped(p, self._weights))(parts)

    def _propagate(self, function: Callable[[PyTree], Array]) -> tuple[Array, Array]:
        value, pull_back = jax.vjp(function, self._weights)
        (jacobian,) = jax.vmap(pull_back)(jnp.eye(value.size, dtype=value.dtype))
        parts = jax.vmap(self.covariance.grouped)(jacobian)
        pairs = zip(self.covariance.times(parts), parts, strict=True)
        flat = [(c.reshape(value.size, -1), j.reshape(value.size, -1)) for c, j in pairs]
        return value, sum((c @ j.T for c, j in flat), jnp.zeros((value.size,) * 2, value.dtype))


class SampledPosterior(AbstractPosterior[Model]):
    """Posterior represented by a finite set of weights.

    **Attributes:** those of [`lagdyna.filters.AbstractPosterior`][], and

    - `members`: deviations of the members from the mean weights, shape `(members, size)`.
    - `probability`: probability of each member, shape `(members,)`.
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
        """Build the posterior from mean weights and the deviations of members.

        **Arguments:**

        - `weights`: the mean weights, a partition of the model.
        - `rest`: the other partition of the model.
        - `members`: deviations of the flattened weights from their mean.
        - `probability`: probability of each member.
        - `noise`: variance of the observation noise.
        """
        return cls(
            _weights=weights,
            _assemble=_Combine(rest),
            members=members,
            probability=probability,
            noise=noise,
            temperature=jnp.ones((), noise.dtype),
        )

    def _sample_deviations(self, key: PRNGKeyArray, count: int) -> PyTree:
        chosen = jax.random.choice(key, self.members, (count,), p=self.probability, axis=0)
        return jax.vmap(ravel_pytree(self._weights)[1])(chosen)

    def _propagate(self, function: Callable[[PyTree], Array]) -> tuple[Array, Array]:
        flat, unravel = ravel_pytree(self._weights)
        each = jax.vmap(lambda d: function(unravel(flat + d)))(self.members)
        mean = self.probability @ each
        deviation = each - mean
        return mean, (deviation * self.probability[:, None]).T @ deviation


class _Combine(eqx.Module):
    """Function that combines weights with the rest of their model."""

    rest: PyTree

    def __call__(self, weights: PyTree) -> Any:
        return eqx.combine(weights, self.rest)


def coverage(
    standardised: Float[Array, " errors"], levels: Sequence[float] = LEVELS
) -> Float[Array, " levels"]:
    """Compute the fraction of standardised errors within each central interval.

    For a calibrated posterior, the fractions equal the levels. Missing errors are ignored.

    **Arguments:**

    - `standardised`: errors from
        [`lagdyna.filters.AbstractPosterior.standardised_errors`][].
    - `levels`: probabilities of the central intervals, in (0, 1).

    **Returns:** one fraction for each level.
    """
    return _coverage(standardised, jnp.asarray(levels))


@jax.jit
def _coverage(
    standardised: Float[Array, " errors"], levels: Float[Array, " levels"]
) -> Float[Array, " levels"]:
    observed = ~jnp.isnan(standardised)
    edges = jax.scipy.stats.norm.ppf(0.5 + 0.5 * levels)
    inside = jnp.abs(standardised)[None] <= edges[:, None]
    return jnp.sum(inside & observed, axis=1) / jnp.maximum(jnp.sum(observed), 1)


def calibrated(
    posterior: AbstractPosterior[Model], loss: AbstractSquaredLoss[Model, Any], batch: PyTree
) -> AbstractPosterior[Model]:
    """Calibrate the temperature and the noise of a posterior on held-out data.

    A grid search maximises the likelihood of the batch over the temperature and a factor of
    the noise. Evaluate the calibrated posterior on other data.

    **Arguments:**

    - `posterior`: the posterior to calibrate.
    - `loss`: the loss that the model was learned with.
    - `batch`: held-out data with one leading axis.

    **Returns:** the calibrated posterior.
    """
    errors, variance = posterior._errors_and_variances(loss, batch)
    observed = ~jnp.isnan(errors)
    errors = jnp.where(observed, errors, 0)

    def log_density(temperature: Scalar, factor: Scalar) -> Scalar:
        total = temperature**2 * variance + factor**2 * posterior.noise
        return -0.5 * jnp.sum(jnp.where(observed, errors**2 / total + jnp.log(total), 0))

    temperatures, factors = jnp.geomspace(1e-2, 1e2, 161), jnp.geomspace(0.2, 5.0, 65)
    values = jax.vmap(lambda t: jax.vmap(lambda f: log_density(t, f))(factors))(temperatures)
    row, column = jnp.unravel_index(jnp.argmax(values), values.shape)
    tempered = posterior.tempered(temperatures[row])
    return tempered.with_noise(factors[column] ** 2 * posterior.noise)
