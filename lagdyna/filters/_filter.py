import abc
from typing import Any, ClassVar, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, Scalar

from ..learners import AbstractLearner, AbstractSquaredLoss, LearnerState, Metrics, all_finite
from ._posterior import AbstractPosterior

Model = TypeVar("Model")
Batch = TypeVar("Batch")


class FilterState(NamedTuple):
    """State of a filter. The mean of the weights is the model itself.

    **Attributes:**

    - `belief`: distribution of the weights about the mean. Its type depends on the filter:
        a covariance, ensemble members or particles.
    - `process`: process noise variance of each weight per update.
    - `noise`: observation noise variance, in the units of the loss's scales.
    - `updates`: the number of updates.
    """

    belief: PyTree
    process: Scalar
    noise: Scalar
    updates: Scalar


class Innovation(NamedTuple):
    """Errors of a batch at the mean weights.

    **Attributes:**

    - `error`: errors, 0 where an entry is missing.
    - `mask`: 1 where an entry is observed, 0 where it is missing.
    - `jacobian`: derivative of the errors in the weights, if the filter needs it.
    """

    error: Float[Array, " errors"]
    mask: Float[Array, " errors"]
    jacobian: Any = None


class Correction(NamedTuple):
    """Result of conditioning a belief on a batch.

    **Attributes:**

    - `step`: change of the mean, a tree like the weights.
    - `belief`: belief about the new mean, or the data from which a filter computes it.
    - `log_evidence`: log density of all observed entries of the batch.
    """

    step: PyTree
    belief: Any
    log_evidence: Scalar


class AbstractFilter(AbstractLearner[Model, Batch]):
    """Base class of filters that estimate a model's weights (Das et al. 2026, eq. 7-13).

    The weights are the state of a random walk, and each batch is an observation of them. The
    loss determines the observation:

    - [`lagdyna.learners.OneStepLoss`][]: the next state, through the solver;
    - [`lagdyna.learners.MultiStepLoss`][]: several states, through the solver;
    - [`lagdyna.learners.ForwardLoss`][]: accelerations;
    - [`lagdyna.learners.InverseLoss`][]: generalised forces;
    - [`lagdyna.learners.RewardLoss`][]: rewards.

    Entries that are `nan` are treated as missing and skipped. They are not imputed.

    **Arguments:**

    - `loss`: a [`lagdyna.learners.AbstractSquaredLoss`][].
    - `prior`: prior standard deviation of each weight about its initial value.
    - `noise`: standard deviation of the observation noise, in the units of the loss's
        scales. For a [`lagdyna.learners.ResidualLoss`][], whose rows hold errors and
        residuals, it is in units of their mean. `None` estimates it from the innovations of
        each batch before that batch is used.
    - `noise_floor`: lower bound of the estimated noise, a standard deviation.
    - `process`: standard deviation of the process noise of each weight in the first update.
    - `process_decay`: factor of the process variance after each update, in (0, 1].
    - `fading`: forgetting factor, in (0, 1]; 1 forgets nothing.
    - `repeats`: number of passes over the data. The noise variance is multiplied by it, so
        that data seen in several passes count once.

    **Raises:** `ValueError` if an argument is out of its range.
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
    def _init_belief(self, weights: PyTree) -> PyTree:
        """Build the belief before any observation."""

    @abc.abstractmethod
    def _predict(self, state: FilterState) -> PyTree:
        """Predict the belief: apply forgetting and process noise."""

    @abc.abstractmethod
    def _condition(
        self,
        errors: "Errors",
        weights: PyTree,
        belief: Any,
        innovation: Innovation,
        noise: Scalar,
        updates: Scalar,
    ) -> Correction:
        """Condition the predicted belief on a batch.

        **Arguments:**

        - `errors`: the errors of the batch as a function of the weights.
        - `weights`: the mean weights.
        - `belief`: the predicted belief about the mean.
        - `innovation`: the errors at the mean.
        - `noise`: variance of the observation noise.
        - `updates`: the number of earlier updates.
        """

    @abc.abstractmethod
    def _posterior(
        self, weights: PyTree, rest: PyTree, state: FilterState
    ) -> AbstractPosterior[Model]:
        """Build the posterior distribution of models with these mean weights."""

    def _innovation(self, errors: "Errors", weights: PyTree) -> Innovation:
        """Evaluate the errors of a batch at the mean weights."""
        return mask_missing(errors(weights))

    def _next_belief(
        self, state: FilterState, belief: Any, correction: Correction, valid: Array
    ) -> PyTree:
        """Return the belief after an update, or that of `state` if the update is invalid."""
        del belief
        return jax.tree.map(
            lambda new, old: jnp.where(valid, new, old), correction.belief, state.belief
        )

    def init(self, model: Model) -> LearnerState:
        weights = eqx.filter(model, eqx.is_inexact_array)
        dtype = jnp.result_type(*jax.tree.leaves(weights))
        noise = 1.0 if self.noise is None else self.noise**2
        scalars = (jnp.asarray(x, dtype) for x in (self.process**2, noise, 0.0))
        return FilterState(self._init_belief(weights), *scalars)

    def update(
        self, model: Model, state: LearnerState, batch: Batch
    ) -> tuple[Model, LearnerState, Metrics]:
        weights, rest = eqx.partition(model, eqx.is_inexact_array)
        errors = Errors(self.loss, rest, batch)
        belief = self._predict(state)
        innovation = self._innovation(errors, weights)
        count = jnp.maximum(jnp.sum(innovation.mask), 1)
        loss = jnp.sum(innovation.error**2) / count
        noise = self._estimate_noise(state, loss)
        correction = self._condition(
            errors, weights, belief, innovation, self.repeats * noise, state.updates
        )
        valid = all_finite((correction, noise)) & jnp.any(innovation.mask > 0)
        if_valid = lambda new, old: jnp.where(valid, new, old)  # noqa: E731
        process = state.process * self.process_decay
        new_state = FilterState(
            self._next_belief(state, belief, correction, valid),
            if_valid(process, state.process),
            if_valid(noise, state.noise),
            if_valid(state.updates + 1, state.updates),
        )
        new_weights = jax.tree.map(
            lambda w, step: if_valid(w + step, w), weights, correction.step
        )
        metrics = {
            "loss": loss,
            "skipped": 1.0 - valid,
            "noise": jnp.sqrt(new_state.noise),
            "log_evidence": correction.log_evidence / count,
        }
        return eqx.combine(new_weights, rest), new_state, metrics

    def posterior(self, model: Model, state: LearnerState) -> AbstractPosterior[Model]:
        """Build the posterior distribution of the model.

        **Arguments:**

        - `model`: the model after the last update. Its weights are the mean.
        - `state`: the filter's state after the same update.

        **Returns:** a [`lagdyna.filters.AbstractPosterior`][].
        """
        weights, rest = eqx.partition(model, eqx.is_inexact_array)
        return self._posterior(weights, rest, state)

    def _estimate_noise(self, state: FilterState, loss: Scalar) -> Scalar:
        """Estimate the observation variance as a running mean of squared innovations."""
        if self.noise is not None:
            return state.noise
        rate = 1 / (1 + jnp.minimum(state.updates, 20))
        mean = (1 - rate) * state.noise + rate * loss
        return jnp.maximum(mean, self.noise_floor**2)


class Errors(eqx.Module):
    """Errors of a batch as a function of the weights.

    **Arguments:**

    - `loss`: a squared loss.
    - `rest`: the model without its weights.
    - `batch`: the data.
    """

    loss: AbstractSquaredLoss[Any, Any]
    rest: PyTree
    batch: PyTree

    def of_row(self, weights: PyTree, row: PyTree) -> Float[Array, " k"]:
        """Compute the errors of one row, each in the units of its scale."""
        errors = self.loss.observed_errors(eqx.combine(weights, self.rest), row)
        return errors * jnp.sqrt(errors.shape[0])

    def __call__(self, weights: PyTree) -> Float[Array, " errors"]:
        """Compute the errors of all rows, `nan` where an entry is missing."""
        return jax.vmap(self.of_row, (None, 0))(weights, self.batch).reshape(-1)


def mask_missing(error: Float[Array, " errors"]) -> Innovation:
    """Replace missing errors by 0 and mark them in the mask."""
    observed = ~jnp.isnan(error)
    return Innovation(jnp.where(observed, error, 0), observed.astype(error.dtype))


def gaussian_log_density(
    whitened: Float[Array, " errors"],
    factor: Float[Array, "errors errors"],
    mask: Float[Array, " errors"],
) -> Scalar:
    """Compute the log density of the observed innovations under a Gaussian.

    Missing entries must be uncorrelated with all others in the covariance.

    **Arguments:**

    - `whitened`: innovations multiplied by the inverse of `factor`.
    - `factor`: Cholesky factor of their covariance.
    - `mask`: 1 where an entry is observed, 0 where it is missing.
    """
    logs = jnp.log(jnp.diagonal(factor)) + 0.5 * whitened**2 + 0.5 * jnp.log(2 * jnp.pi)
    return -jnp.sum(mask * logs)


def bounded_noise(
    noise: Scalar, explained: Float[Array, "errors errors"], largest: Scalar | None = None
) -> Scalar:
    """Raise the noise variance above the rounding errors of the explained covariance.

    A smaller variance would vanish in rounding. Neither the covariance of the innovations nor
    that of the weights would stay positive definite.

    **Arguments:**

    - `noise`: variance of the observation noise.
    - `explained`: covariance of the innovations that the weights' uncertainty explains.
    - `largest`: largest number that was rounded to compute it; by default its largest entry.
    """
    if largest is None:
        largest = jnp.max(jnp.diagonal(explained))
    eps = jnp.finfo(explained.dtype).eps
    return jnp.maximum(noise, 8 * explained.shape[0] * eps * largest)
