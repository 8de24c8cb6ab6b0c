"""Shared parts of controllers by random sampling."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Scalar

from ..mechanics import State
from ..simulate import AbstractTransition
from ._action_box import ActionBox
from ._costs import AbstractCost


def check_arguments(controller: Any, positive: tuple[str, ...]) -> None:
    """Check the arguments that controllers by sampling share.

    **Arguments:** `positive`, names of those that must be positive.

    **Raises:** `ValueError` if one is out of range.
    """
    for name in positive:
        if not getattr(controller, name) > 0:
            raise ValueError(
                f"`{name}` was {getattr(controller, name)}; a positive number is accepted"
            )
    if not 0 <= controller.correlation < 1:
        raise ValueError(
            f"`correlation` was {controller.correlation}; 0 or more and below 1 is accepted"
        )


def resting_actions(box: ActionBox, horizon: int, like: Array) -> Float[Array, "time m"]:
    """Make actions of zero, or of the nearest that the box has."""
    return box.clip(jnp.zeros((horizon, box.size), like.dtype))


def rollout_cost(
    transition: AbstractTransition,
    cost: AbstractCost,
    start: State,
    actions: Float[Array, "time m"],
) -> Scalar:
    """Compute the cost of a sequence of actions; infinite if it is not finite."""

    def body(carry: tuple[State, Scalar], action: Array) -> tuple[tuple[State, Scalar], None]:
        state, total = carry
        total = total + cost.stage(state, action)
        return (transition.step(state, action), total), None

    zero = jnp.zeros((), actions.dtype)
    (end, total), _ = jax.lax.scan(body, (start, zero), actions)
    total = total + cost.final(end)
    return jnp.where(jnp.isfinite(total), total, jnp.inf)


def smooth_noise(
    key: PRNGKeyArray, shape: tuple[int, int, int], correlation: float, like: Array
) -> Float[Array, "samples time m"]:
    """Draw standard normals that are correlated in time (an autoregression of order 1).

    **Arguments:** `shape`, samples, steps and actions; `correlation`, of two neighbours, in
    `[0, 1)`.
    """
    samples, time, m = shape
    white = jax.random.normal(key, (time, samples, m), like.dtype)

    def body(last: Array, new: Array) -> tuple[Array, Array]:
        last = correlation * last + (1 - correlation**2) ** 0.5 * new
        return last, last

    _, rest = jax.lax.scan(body, white[0], white[1:])
    return jnp.moveaxis(jnp.concatenate([white[:1], rest]), 1, 0)


def shift(actions: Float[Array, "time m"]) -> Float[Array, "time m"]:
    """Drop the first action and repeat the last."""
    return jnp.concatenate([actions[1:], actions[-1:]])
