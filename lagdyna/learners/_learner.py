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
    """A way to learn a model's inexact array leaves from batches of data.

    The fitting loop and the agents know nothing else of how a model is learned.
    """

    @abc.abstractmethod
    def init(self, model: Model) -> LearnerState:
        """What the learner remembers between updates."""

    @abc.abstractmethod
    def update(
        self, model: Model, state: LearnerState, batch: Batch
    ) -> tuple[Model, LearnerState, Metrics]:
        """The model after one batch.

        **Returns:** the model, the learner's state, and metrics: at least `loss`, and
        `skipped`, 1 if the update was not finite and so was not applied, else 0.
        """


class GradientState(NamedTuple):
    """What a [`lagdyna.learners.GradientLearner`][] remembers.

    **Attributes:**

    - `optimiser`: its state.
    - `before`: the weights before the last update that was applied.
    - `skipped`: how many have been skipped since.
    """

    optimiser: optax.OptState
    before: PyTree
    skipped: Int[Array, ""]


class GradientLearner(AbstractLearner[Model, Batch]):
    """Follows the gradient of a loss with any Optax transformation.

    An update that is not finite is skipped, and changes nothing. But where ten in a row are, it
    is not the data: the last one that was applied led to where nothing can be computed, a model
    whose states overflow on any batch. So half of it is taken back, and of what is left of it
    with every further one.

    **Arguments:**

    - `optimiser`: an `optax.GradientTransformation`.
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
        here = eqx.filter(model, eqx.is_inexact_array)
        before = jax.tree.map(
            lambda old, now: jnp.where(skipped > 0, old, now), state.before, here
        )
        count = jnp.where(skipped > 0, state.skipped + 1, 0)
        weights, rest = eqx.partition(updated, eqx.is_inexact_array)
        weights = jax.tree.map(
            lambda now, old: jnp.where(count >= _PATIENCE, (now + old) / 2, now),
            weights,
            before,
        )
        state = GradientState(optimiser, before, count)
        return eqx.combine(weights, rest), state, {"loss": loss, "skipped": skipped}


# Skipped updates in a row, from which on the last one that was applied is taken back.
_PATIENCE = 10


def apply_gradient(
    optimiser: optax.GradientTransformation,
    model: Model,
    state: LearnerState,
    gradient: PyTree,
) -> tuple[Model, LearnerState, Scalar]:
    """One Optax step, taken only if it is finite.

    **Returns:** the model, the optimiser's state, and 1 if the step was skipped, else 0.
    After a skipped step both are as before.
    """
    weights, rest = eqx.partition(model, eqx.is_inexact_array)
    updates, new_state = optimiser.update(gradient, state, weights)
    new_weights = optax.apply_updates(weights, updates)
    # A gradient may be finite and its step not, nor what the optimiser remembers of it:
    # its square overflows first, and Adam would never move that weight again.
    finite = all_finite((gradient, new_weights, new_state))
    keep = lambda new, old: jnp.where(finite, new, old)  # noqa: E731
    weights = jax.tree.map(keep, new_weights, weights)
    state = jax.tree.map(keep, new_state, state)
    return eqx.combine(weights, rest), state, 1.0 - finite


def all_finite(tree: PyTree) -> Bool[Array, ""]:
    """Whether every number in every floating-point leaf is finite."""
    leaves = jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))
    # Zero times anything finite is zero, so one reduction per leaf says it all.
    return jnp.isfinite(sum(jnp.sum(leaf * 0) for leaf in leaves))
