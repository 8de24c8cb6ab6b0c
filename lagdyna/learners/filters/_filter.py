import abc
from typing import Any, ClassVar, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, Scalar

from .._learner import AbstractLearner, LearnerState, Metrics, all_finite
from .._losses import AbstractSquaredLoss
from ._posterior import AbstractPosterior

Model = TypeVar("Model")
Batch = TypeVar("Batch")


class FilterState(NamedTuple):
    """What a filter knows beside the mean, which is the model itself.

    **Attributes:**

    - `belief`: how the weights spread about the mean; each filter has its own kind.
    - `process`: variance that each weight gains in an update.
    - `noise`: variance of an observation, in the units of the loss's scales.
    - `updates`: how many there have been.
    """

    belief: PyTree
    process: Scalar
    noise: Scalar
    updates: Scalar


class Observed(NamedTuple):
    """A batch of observations as the mean sees it.

    **Attributes:** `error`, 0 where an entry is missing; `seen`, 1 where none is; `more`,
    what a filter computed with them.
    """

    error: Float[Array, " errors"]
    seen: Float[Array, " errors"]
    more: Any = None


class Found(NamedTuple):
    """What an observation makes of a prior.

    **Attributes:** `step`, of the mean, a tree like the weights; `belief`, about the new
    mean, or what a filter makes it of; `log_evidence`, of all entries together.
    """

    step: PyTree
    belief: Any
    log_evidence: Scalar


class AbstractFilter(AbstractLearner[Model, Batch]):
    """Weights as the state of a random walk, batches as its observations (Das et al. 2026).

    What is observed is that the errors of the loss are zero, up to noise: with
    [`lagdyna.learners.OneStepLoss`][] the next state through the solver, with
    [`lagdyna.learners.MultiStepLoss`][] several, with [`lagdyna.learners.ForwardLoss`][]
    accelerations, with [`lagdyna.learners.InverseLoss`][] torques, with
    [`lagdyna.learners.RewardLoss`][] rewards. Entries that are `nan` are missing and are
    skipped, not imputed.

    **Arguments:**

    - `loss`: a [`lagdyna.learners.AbstractSquaredLoss`][].
    - `prior`: standard deviation of each weight about its initial value.
    - `noise`: standard deviation of an observation, in the units of the loss's scales (of
        a [`lagdyna.learners.ResidualLoss`][], whose rows are errors and residuals, in units of
        their mean); `None` estimates it from innovations, before the update that uses it.
    - `noise_floor`: below which no estimate goes.
    - `process`: standard deviation of what each weight wanders in the first update.
    - `process_decay`: what the process variance is multiplied by after each update.
    - `fading`: the forgetting factor, 1 for none.
    - `repeats`: how often each datum will be seen. Its noise variance is multiplied by it,
        so that seeing a datum so often counts it once.

    **Raises:** `ValueError` if one of them is out of its range.
    """

    loss: AbstractSquaredLoss[Model, Batch]
    prior: float = eqx.field(static=True, default=1.0, kw_only=True)
    noise: float | None = eqx.field(static=True, default=None, kw_only=True)
    noise_floor: float = eqx.field(static=True, default=1e-3, kw_only=True)
    process: float = eqx.field(static=True, default=0.0, kw_only=True)
    process_decay: float = eqx.field(static=True, default=1.0, kw_only=True)
    fading: float = eqx.field(static=True, default=1.0, kw_only=True)
    repeats: float | Scalar = eqx.field(default=1.0, kw_only=True)

    _positive: ClassVar[tuple[str, ...]] = ("prior", "noise", "noise_floor", "repeats")

    def __check_init__(self):
        for name in self._positive:
            value = getattr(self, name)
            if isinstance(value, int | float) and not value > 0:
                raise ValueError(f"`{name}` must be positive, got {value}")
        if not self.process >= 0:
            raise ValueError(f"`process` must not be negative, got {self.process}")
        for name in ("process_decay", "fading"):
            value = getattr(self, name)
            if not 0 < value <= 1:
                raise ValueError(f"`{name}` must be above 0 and at most 1, got {value}")

    @abc.abstractmethod
    def _prior(self, weights: PyTree) -> PyTree:
        """The belief before any observation."""

    @abc.abstractmethod
    def _predicted(self, state: FilterState) -> PyTree:
        """The belief before the next observation."""

    @abc.abstractmethod
    def _conditioned(
        self,
        errors: "Errors",
        weights: PyTree,
        belief: Any,
        at: Observed,
        noise: Scalar,
        updates: Scalar,
    ) -> Found:
        """What is believed once the observation was made.

        **Arguments:** `errors`, as functions of the weights; `weights`, the mean;
        `belief` about it; `at`, the observation from there; `noise`, its variance;
        `updates`, how many came before.
        """

    @abc.abstractmethod
    def _posterior(
        self, weights: PyTree, rest: PyTree, state: FilterState
    ) -> AbstractPosterior[Model]:
        """What is known of the model of these weights."""

    def _observed(self, errors: "Errors", weights: PyTree) -> Observed:
        """The batch as the mean sees it."""
        return observed(errors(weights))

    def _after(self, state: FilterState, belief: Any, found: Found, usable: Array) -> PyTree:
        """The belief after an observation, or that of `state` if it was not usable."""
        del belief
        return jax.tree.map(
            lambda new, old: jnp.where(usable, new, old), found.belief, state.belief
        )

    def init(self, model: Model) -> LearnerState:
        weights = eqx.filter(model, eqx.is_inexact_array)
        dtype = jnp.result_type(*jax.tree.leaves(weights))
        noise = 1.0 if self.noise is None else self.noise**2
        scalars = (jnp.asarray(x, dtype) for x in (self.process**2, noise, 0.0))
        return FilterState(self._prior(weights), *scalars)

    def update(
        self, model: Model, state: LearnerState, batch: Batch
    ) -> tuple[Model, LearnerState, Metrics]:
        weights, rest = eqx.partition(model, eqx.is_inexact_array)
        errors = Errors(self.loss, rest, batch)
        belief = self._predicted(state)
        at = self._observed(errors, weights)
        seen = jnp.maximum(jnp.sum(at.seen), 1)
        loss = jnp.sum(at.error**2) / seen
        noise = self._noise(state, loss)
        found = self._conditioned(
            errors, weights, belief, at, self.repeats * noise, state.updates
        )
        usable = all_finite((found, noise)) & jnp.any(at.seen > 0)
        kept = lambda new, old: jnp.where(usable, new, old)  # noqa: E731
        process = state.process * self.process_decay
        after = FilterState(
            self._after(state, belief, found, usable),
            kept(process, state.process),
            kept(noise, state.noise),
            kept(state.updates + 1, state.updates),
        )
        moved = jax.tree.map(lambda w, step: kept(w + step, w), weights, found.step)
        metrics = {
            "loss": loss,
            "skipped": 1.0 - usable,
            "noise": jnp.sqrt(after.noise),
            "log_evidence": found.log_evidence / seen,
        }
        return eqx.combine(moved, rest), after, metrics

    def posterior(self, model: Model, state: LearnerState) -> AbstractPosterior[Model]:
        """What is known of the weights, with `model` as their mean."""
        weights, rest = eqx.partition(model, eqx.is_inexact_array)
        return self._posterior(weights, rest, state)

    def _noise(self, state: FilterState, found: Scalar) -> Scalar:
        """The variance of an observation, by what the innovations have been until now."""
        if self.noise is not None:
            return state.noise
        share = 1 / (1 + jnp.minimum(state.updates, 20))
        mean = (1 - share) * state.noise + share * found
        return jnp.maximum(mean, self.noise_floor**2)


class Errors(eqx.Module):
    """The errors of a batch, as functions of the weights.

    **Arguments:** `loss`; `rest` of the model, without its weights; `batch`.
    """

    loss: AbstractSquaredLoss[Any, Any]
    rest: PyTree
    batch: PyTree

    def of_row(self, weights: PyTree, row: PyTree) -> Float[Array, " k"]:
        """Errors of a row, each in the units of its scale."""
        errors = self.loss.observed_errors(eqx.combine(weights, self.rest), row)
        return errors * jnp.sqrt(errors.shape[0])

    def __call__(self, weights: PyTree) -> Float[Array, " errors"]:
        """Errors of all rows, `nan` where an entry is missing."""
        return jax.vmap(self.of_row, (None, 0))(weights, self.batch).reshape(-1)


def observed(error: Float[Array, " errors"], more: Any = None) -> Observed:
    """Errors, with what is missing told apart."""
    seen = ~jnp.isnan(error)
    return Observed(jnp.where(seen, error, 0), seen.astype(error.dtype), more)


def gaussian_log_density(
    whitened: Float[Array, " errors"],
    factor: Float[Array, "errors errors"],
    seen: Float[Array, " errors"],
) -> Scalar:
    """Of innovations, by the Cholesky factor of their covariance, where they were seen.

    What was not seen must have no part in the factor beside its own diagonal.
    """
    logs = jnp.log(jnp.diagonal(factor)) + 0.5 * whitened**2 + 0.5 * jnp.log(2 * jnp.pi)
    return -jnp.sum(seen * logs)


def resolved(noise: Scalar, explained: Float[Array, "errors errors"]) -> Scalar:
    """Noise that is not lost in the rounding of what the weights explain.

    Less of it would leave neither the covariance of innovations nor that of the weights
    definite.
    """
    largest = jnp.max(jnp.diagonal(explained))
    eps = jnp.finfo(explained.dtype).eps
    return jnp.maximum(noise, 8 * explained.shape[0] * eps * largest)
