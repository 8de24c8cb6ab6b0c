"""Scale of the output of a network for whole steps."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..mechanics import State
from ..simulate import AbstractTransition, MLPTransition, ScaledTransition


def with_step_scale(
    transition: AbstractTransition, scale: State, first: Array
) -> AbstractTransition:
    """Give a network for whole steps the scale of its output; it may only grow."""
    if isinstance(transition, ScaledTransition):
        units = transition.units
        scale = State(
            scale.q / units.extended(units.position, scale.q),
            scale.qd / units.extended(units.velocity, scale.qd),
        )
        inner = with_step_scale(transition.transition, scale, first)
        return ScaledTransition(inner, units)
    if not isinstance(transition, MLPTransition):
        return transition
    scale = jax.tree.map(
        lambda now, before: jnp.where(first, now, jnp.maximum(now, before)),
        scale,
        transition.scale,
    )
    return eqx.tree_at(lambda t: t.scale, transition, scale)
