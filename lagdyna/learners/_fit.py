from collections.abc import Callable
from typing import NamedTuple, TypeVar

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ._learner import AbstractLearner, LearnerState

Model = TypeVar("Model")
Batch = TypeVar("Batch")


class Fit(NamedTuple):
    """What fitting produced.

    **Attributes:**

    - `model`: after the last update.
    - `state`: the learner's, to go on from.
    - `metrics`: every metric of the learner, each of shape `(steps,)`.
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
) -> Fit:
    """`steps` updates, each on a batch drawn by `sample`, as one `scan`.

    The part of [`lagdyna.learners.fit`][] for use inside other compiled programs.

    **Arguments:**

    - `learner`, `model`, `state`: what learns, what is learned, `learner.init(model)`.
    - `sample`: gives a batch of the kind the learner's loss takes, from a key.
    - `key`: for the batches.
    - `steps`: the number of updates, a Python integer.

    **Returns:** a [`lagdyna.learners.Fit`][].
    """
    arrays, static = eqx.partition(model, eqx.is_array)

    def body(carry: PyTree, step_key: PRNGKeyArray) -> tuple[PyTree, PyTree]:
        arrays, state = carry
        model, state, metrics = learner.update(
            eqx.combine(arrays, static), state, sample(step_key)
        )
        return (eqx.filter(model, eqx.is_array), state), metrics

    (arrays, state), metrics = jax.lax.scan(body, (arrays, state), jax.random.split(key, steps))
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
    """Fits a model to data: minibatches drawn with replacement, one compiled program.

    **Arguments:**

    - `model`: any PyTree whose inexact arrays are to be learned.
    - `learner`: what learns it, say [`lagdyna.learners.GradientLearner`][].
    - `data`: a PyTree of arrays with one leading axis, of the kind that the learner's
        loss takes a batch of.
    - `key`: for the batches.
    - `steps`: the number of updates.
    - `batch_size`: rows per update; `None` for all of them, in their order.
    - `state`: the `state` of an earlier fit, to go on from; fresh by default.

    **Returns:** a [`lagdyna.learners.Fit`][].

    **Raises:** `ValueError` if `steps` or `batch_size` is not positive, or if the arrays
    of `data` are not of one length, at least 1.
    """
    if steps < 1 or (batch_size is not None and batch_size < 1):
        raise ValueError(
            f"`steps` and `batch_size` must be at least 1, got {steps} and {batch_size}"
        )
    lengths = {leaf.shape[0] for leaf in jax.tree.leaves(data)}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            "the arrays of `data` must have one common length of at least 1, "
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
