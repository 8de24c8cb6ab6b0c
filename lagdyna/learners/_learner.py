import abc
from typing import Generic, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Int, PyTree, Scalar

from ._losses import AbstractLoss

Model = TypeVar("Model")
Batch = TypeVar("Batch")
LearnerState = PyTree
Metrics = dict[str, Scalar]


class AbstractLearner(eqx.Module, Generic[Model, Batch]):
    """Interface of methods that learn a model's floating-point arrays from batches of data.

    Fitting loops and agents use only `init` and `update`.
    """

    @abc.abstractmethod
    def init(self, model: Model) -> LearnerState:
        """Build the learner's state before the first update."""

    @abc.abstractmethod
    def update(
        self, model: Model, state: LearnerState, batch: Batch
    ) -> tuple[Model, LearnerState, Metrics]:
        """Update the model on one batch.

        **Returns:** the model, the learner's state, and metrics. The metrics contain at
        least `loss` and `skipped`. `skipped` is 1 if the update was not applied because it
        was not finite, else 0.
        """


class GradientState(NamedTuple):
    """State of a [`lagdyna.learners.GradientLearner`][].

    **Attributes:**

    - `optimiser`: the Optax state.
    - `before`: the weights before the last applied update.
    - `skipped`: the number of updates skipped since then.
    """

    optimiser: optax.OptState
    before: PyTree
    skipped: Int[Array, ""]


class GradientLearner(AbstractLearner[Model, Batch]):
    """Gradient descent on a loss with any Optax transformation.

    An update that is not finite is skipped: it changes neither weights nor optimiser state.
    Ten skipped updates in a row show that the last applied update is at fault, not the data:
    the model's states may now overflow on every batch. From the tenth on, each skipped update
    moves the weights half the way back to those before that update.

    **Arguments:**

    - `optimiser`: an `optax.GradientTransformation`, say `optax.adam(1e-3)`.
    - `loss`: a [`lagdyna.learners.AbstractLoss`][].
    """

    optimiser: optax.GradientTransformation = eqx.field(static=True)
    loss: AbstractLoss[Model, Batch]

    def init(self, model: Model) -> GradientState:
        weights = eqx.filter(model, eqx.is_inexact_array)
        return GradientState(self.optimiser.init(weights), weights, jnp.zeros((), int))

    def update(
        self, model: Model, state: GradientState, batch: Batch
    ) -> tuple[Model, GradientState, Metrics]:
        loss, gradient = eqx.filter_value_and_grad(self.loss)(model, batch)
        updated, optimiser, skipped = apply_gradient(
            self.optimiser, model, state.optimiser, gradient
        )
        current = eqx.filter(model, eqx.is_inexact_array)
        before = jax.tree.map(
            lambda old, new: jnp.where(skipped > 0, old, new), state.before, current
        )
        count = jnp.where(skipped > 0, state.skipped + 1, 0)
        weights, rest = eqx.partition(updated, eqx.is_inexact_array)
        weights = jax.tree.map(
            lambda new, old: jnp.where(count >= _MAX_SKIPPED, (new + old) / 2, new),
            weights,
            before,
        )
        state = GradientState(optimiser, before, count)
        return eqx.combine(weights, rest), state, {"loss": loss, "skipped": skipped}


# From this many skipped updates in a row on, the last applied update is undone step by step.
_MAX_SKIPPED = 10


def apply_gradient(
    optimiser: optax.GradientTransformation,
    model: Model,
    state: LearnerState,
    gradient: PyTree,
) -> tuple[Model, LearnerState, Scalar]:
    """Apply one Optax step if it is finite.

    **Arguments:**

    - `optimiser`: an `optax.GradientTransformation`.
    - `model`: a PyTree. Its floating-point arrays are the weights.
    - `state`: the optimiser's state.
    - `gradient`: the gradient of the loss with respect to the weights.

    **Returns:** the model, the optimiser's state, and 1 if the step was skipped, else 0.
    A skipped step leaves the model and the state unchanged.
    """
    weights, rest = eqx.partition(model, eqx.is_inexact_array)
    updates, new_state = optimiser.update(gradient, state, weights)
    new_weights = optax.apply_updates(weights, updates)
    # A finite gradient can still overflow the optimiser's state: Adam squares it, and an
    # infinite second moment would freeze that weight for good.
    finite = all_finite((gradient, new_weights, new_state))
    keep = lambda new, old: jnp.where(finite, new, old)  # noqa: E731
    weights = jax.tree.map(keep, new_weights, weights)
    state = jax.tree.map(keep, new_state, state)
    return eqx.combine(weights, rest), state, 1.0 - finite


def all_finite(tree: PyTree) -> Bool[Array, ""]:
    """Whether every entry of every floating-point leaf is finite."""
    leaves = jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))
    # Zero times a finite number is zero, so one reduction per leaf suffices.
    return jnp.isfinite(sum(jnp.sum(leaf * 0) for leaf in leaves))
