from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..mechanics import State
from ..simulate import AbstractTransition, SampledTransition

Value = Callable[[State], Float[Array, " batch"]]


def disagreement(
    transition: AbstractTransition | SampledTransition,
    states: State,
    actions: Float[Array, "batch m"],
    value: Value,
) -> Float[Array, " batch"]:
    """Compute how much posterior samples of the dynamics disagree about the value of steps.

    **Arguments:**

    - `transition`: a [`lagdyna.simulate.SampledTransition`][].
    - `states`: a `State` of shapes `(batch, n)`.
    - `actions`: in `[-1, 1]^m`.
    - `value`: of the next states, shapes `(batch, n)`: say, the reward of the steps plus the
        discounted value of the states that they lead to.

    **Returns:** the standard deviation of `value` over the samples, 0 where they agree.

    **Raises:** `ValueError` if `transition` has no samples, or only one.
    """
    if not isinstance(transition, SampledTransition) or transition.count < 2:
        count = f" of {transition.count}" if isinstance(transition, SampledTransition) else ""
        raise ValueError(
            "`pessimism` is the weight of the disagreement of posterior samples and needs a "
            f"SampledTransition with at least two; got a {type(transition).__name__}{count}"
        )
    return _deviation(jax.vmap(value)(transition.all_steps(states, actions)))


def _deviation(x: Float[Array, "count *shape"]) -> Float[Array, "*shape"]:
    """Compute the standard deviation over samples; its gradient is finite at 0 too."""
    variance = jnp.var(x, axis=0, ddof=1)
    return jnp.sqrt(variance + jnp.finfo(x.dtype).eps ** 2)
