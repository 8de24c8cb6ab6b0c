from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..mechanics import State
from ..simulate import AbstractTransition, SampledTransition

Worth = Callable[[State], Float[Array, " batch"]]


def doubts(
    transition: AbstractTransition | SampledTransition,
    states: State,
    actions: Float[Array, "batch m"],
    worth: Worth,
) -> Float[Array, " batch"]:
    """How far the members of a sampled transition are apart about what steps are worth.

    **Arguments:** `states`, a `State` of shapes `(batch, n)`; `worth`, of the states that
    follow: the rewards of the steps and the discounted values of where they lead.

    **Returns:** the standard deviation over the members, 0 where they agree.

    **Raises:** `ValueError` for a transition that is not sampled, or of one member.
    """
    if not isinstance(transition, SampledTransition) or transition.count < 2:
        count = f" of {transition.count}" if isinstance(transition, SampledTransition) else ""
        raise ValueError(
            "`pessimism` asks how far the members of a SampledTransition are apart, of two at "
            f"least; got a {type(transition).__name__}{count}"
        )
    return _deviation(jax.vmap(worth)(transition.all_steps(states, actions)))


def _deviation(x: Float[Array, "count *shape"]) -> Float[Array, "*shape"]:
    """The standard deviation over members, with a gradient also where they all agree."""
    variance = jnp.var(x, axis=0, ddof=1)
    return jnp.sqrt(variance + jnp.finfo(x.dtype).eps ** 2)
