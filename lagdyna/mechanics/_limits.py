from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool

from ._state import State


class Limits(NamedTuple):
    """Symmetric box of states around the origin.

    **Attributes:**

    - `positions`: the largest magnitude of each position, length `n`, rad or m.
    - `velocities`: the largest magnitude of each velocity, length `n`, rad/s or m/s.
    """

    positions: tuple[float, ...]
    velocities: tuple[float, ...]

    def scaled(self, positions: float, velocities: float) -> "Limits":
        """Multiply all positions by one factor and all velocities by another."""
        return Limits(
            tuple(positions * x for x in self.positions),
            tuple(velocities * x for x in self.velocities),
        )

    def clip(self, state: State) -> State:
        """Clip each position and velocity to its limit.

        **Arguments:** `state`, of shapes `(..., n)`.
        """
        q, qd = (
            jnp.clip(x, -jnp.asarray(limit, x.dtype), jnp.asarray(limit, x.dtype))
            for x, limit in zip(state, self, strict=True)
        )
        return State(q, qd)

    def contains(self, states: State) -> Bool[Array, "*batch"]:
        """Whether states are finite and inside the box, its faces excluded.

        A limit of 0 means that the entry is not limited: a context does not move.

        **Arguments:** `states`, of shapes `(..., n)`.
        """
        inside = jnp.ones(states.q.shape[:-1], bool)
        for x, limit in zip(states, self, strict=True):
            limit = jnp.asarray(limit, x.dtype)
            within = (jnp.abs(x) < limit) | (limit == 0)
            inside &= jnp.all(within & jnp.isfinite(x), axis=-1)
        return inside
