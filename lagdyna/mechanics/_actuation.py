import abc

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


class AbstractActuation(eqx.Module):
    """How the agent's action becomes generalised force: `tau = B(q) action`."""

    @abc.abstractmethod
    def __call__(self, q: Float[Array, " n"], action: Float[Array, " m"]) -> Float[Array, " n"]:
        """Generalised force of `action` in `[-1, 1]^m` at `q`, shape `(n,)`."""


class FixedActuation(AbstractActuation):
    """A known, constant actuation map. It has no trainable leaf.

    **Arguments:**

    - `matrix`: `B`, `n` rows of `m` numbers: the generalised force (N or N m) on each
        coordinate when an action is 1.
    """

    matrix: tuple[tuple[float, ...], ...] = eqx.field(static=True)

    def __init__(self, matrix: tuple[tuple[float, ...], ...]):
        if len(matrix) == 0 or len({len(row) for row in matrix}) != 1:
            raise ValueError(f"`matrix` must have n >= 1 rows of equal length, got {matrix!r}")
        self.matrix = tuple(tuple(float(x) for x in row) for row in matrix)

    def __call__(self, q: Float[Array, " n"], action: Float[Array, " m"]) -> Float[Array, " n"]:
        return jnp.asarray(np.asarray(self.matrix), q.dtype) @ action


class LearnedActuation(AbstractActuation):
    """A constant actuation map to be learned: `matrix`, shape `(n, m)`, is a trainable leaf."""

    matrix: Float[Array, "n m"]

    def __call__(self, q: Float[Array, " n"], action: Float[Array, " m"]) -> Float[Array, " n"]:
        return self.matrix @ action
