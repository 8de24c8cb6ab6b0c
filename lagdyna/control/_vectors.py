"""States as vectors of `2 n` numbers, for linear algebra."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..mechanics import Coordinates, State


def to_vector(state: State) -> Float[Array, "*batch two_n"]:
    """Concatenate coordinates and velocities."""
    return jnp.concatenate(state, axis=-1)


def to_state(vector: Float[Array, "*batch two_n"]) -> State:
    """Split a vector into coordinates and velocities."""
    n = vector.shape[-1] // 2
    return State(vector[..., :n], vector[..., n:])


def difference(coordinates: Coordinates, a: State, b: State) -> Float[Array, "*batch two_n"]:
    """Compute `a - b` as a vector, for angles along the shorter arc."""
    return jnp.concatenate([coordinates.difference(a.q, b.q), a.qd - b.qd], axis=-1)


def displace(coordinates: Coordinates, state: State, by: Float[Array, "*batch two_n"]) -> State:
    """Add a vector to a state, and wrap the angles."""
    n = state.q.shape[-1]
    return State(coordinates.wrap(state.q + by[..., :n]), state.qd + by[..., n:])
