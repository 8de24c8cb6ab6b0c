from collections.abc import Callable
from typing import NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from ._learner import AbstractLearner, LearnerState

Model = TypeVar("Model")
Batch = TypeVar("Batch")


class Fit(NamedTuple):
    """Result of fitting a model.

    **Attributes:**

    - `model`: the model after the last update.
    - `state`: the learner's state. Pass it to `fit` to continue.
    - `metrics`: the learner's metrics of every update, each of shape `(steps,)`.
    """

    model: PyTree
    state: LearnerState
    metrics: dict[str, Float[Array, " steps"]]


def learn(
    learner: AbstractLearner,
    model: PyTree,
    state: LearnerState,
    sample: Callable[[PRNGKeyArray], PyTree],
    *,
    key: PRNGKeyArray,
    steps: int,
    count: Int[Array, ""] | None = None,
) -> Fit:
    """Run `steps` updates of a learner in one `scan`, each on a batch from `sample`.

    Use it inside other compiled programs; [`lagdyna.learners.fit`][] calls it.

    **Arguments:**

    - `learner`: an [`lagdyna.learners.AbstractLearner`][].
    - `model`: the model to fit.
    - `state`: the learner's state, initially `learner.init(model)`.
    - `sample`: a function from a key to a batch that the learner's loss accepts.
    - `key`: random key of the batches.
    - `steps`: the number of updates, a Python integer.
    - `count`: stop after the first `count` of them. One program then serves any number up to
        `steps`; the metrics of updates left out are 0.

    **Returns:** a [`lagdyna.learners.Fit`][].
    """
    arrays, static = eqx.partition(model, eqx.is_array)

    def update(carry: PyTree, step_key: PRNGKeyArray) -> tuple[PyTree, PyTree]:
        arrays, state = carry
        model, state, metrics = learner.update(
            eqx.combine(arrays, static), state, sample(step_key)
        )
        return (eqx.filter(model, eqx.is_array), state), metrics

    def update_first(carry: PyTree, step: PyTree) -> tuple[PyTree, PyTree]:
        number, step_key = step
        # Zeros of the shapes of the metrics, which only the update knows.
        _, shapes = jax.eval_shape(update, carry, step_key)
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        return jax.lax.cond(number < count, update, lambda *_: (carry, zeros), carry, step_key)

    keys = jax.random.split(key, steps)
    if count is None:
        (arrays, state), metrics = jax.lax.scan(update, (arrays, state), keys)
    else:
        numbered = (jnp.arange(steps), keys)
        (arrays, state), metrics = jax.lax.scan(update_first, (arrays, state), numbered)
    return Fit(eqx.combine(arrays, static), state, metrics)


@eqx.filter_jit
def fit(
    model: PyTree,
    learner: AbstractLearner,
    data: PyTree,
    *,
    key: PRNGKeyArray,
    steps: int,
    batch_size: int | None = 64,
    state: LearnerState | None = None,
) -> Fit:
    """Fit a model to data on minibatches drawn with replacement.

    All updates run as one compiled program.

    **Arguments:**

    - `model`: any PyTree. Its floating-point arrays are the weights to learn.
    - `learner`: an [`lagdyna.learners.AbstractLearner`][], say
        [`lagdyna.learners.GradientLearner`][].
    - `data`: a PyTree of arrays with one leading axis, the rows. The learner's loss must
        accept a batch of these rows.
    - `key`: random key of the minibatches.
    - `steps`: the number of updates.
    - `batch_size`: rows per update. `None` uses all rows, in order, in each update.
    - `state`: the `state` of an earlier fit, to continue it. A new state by default.

    **Returns:** a [`lagdyna.learners.Fit`][].

    **Raises:** `ValueError` if `steps` or `batch_size` is less than 1, or if the arrays of
    `data` do not share one length of at least 1.
    """
    if steps < 1 or (batch_size is not None and batch_size < 1):
        raise ValueError(
            f"`steps` and `batch_size` must be at least 1, got {steps} and {batch_size}"
        )
    lengths = {leaf.shape[0] for leaf in jax.tree.leaves(data)}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            "the arrays of `data` must share one leading length of at least 1, "
            f"got lengths {sorted(lengths)}"
        )
    (length,) = lengths

    def sample(key: PRNGKeyArray) -> PyTree:
        if batch_size is None:
            return data
        rows = jax.random.randint(key, (batch_size,), 0, length)
        return jax.tree.map(lambda x: x[rows], data)

    state = learner.init(model) if state is None else state
    return learn(learner, model, state, sample, key=key, steps=steps)
