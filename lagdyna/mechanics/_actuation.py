import abc

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


class AbstractActuation(eqx.Module):
    """Map from an action to a generalised force, `tau = B(q) action`."""

    @abc.abstractmethod
    def __call__(self, q: Float[Array, " n"], action: Float[Array, " m"]) -> Float[Array, " n"]:
        """Compute the generalised force of an action.

        **Arguments:**

        - `q`: generalised coordinates, shape `(n,)`.
        - `action`: control in `[-1, 1]^m`, shape `(m,)`.

        **Returns:** the generalised force, shape `(n,)`, N or N m.
        """


class FixedActuation(AbstractActuation):
    """Known, constant actuation map without trainable leaves.

    **Arguments:**

    - `matrix`: `B`, `n` rows of `m` numbers. Entry `(i, j)` is the generalised force
        (N or N m) on coordinate `i` when action `j` is 1.

    **Raises:** `ValueError` if `matrix` is empty or its rows differ in length.
    """

    matrix: tuple[tuple[float, ...], ...] = eqx.field(static=True)

    def __init__(self, matrix: tuple[tuple[float, ...], ...]):
        if len(matrix) == 0 or len({len(row) for row in matrix}) != 1:
            raise ValueError(f"`matrix` must have n >= 1 rows of equal length, got {matrix!r}")
        self.matrix = tuple(tuple(float(x) for x in row) for row in matrix)

    def __call__(self, q: Float[Array, " n"], action: Float[Array, " m"]) -> Float[Array, " n"]:
        return jnp.asarray(np.asarray(self.matrix), q.dtype) @ action


class LearnedActuation(AbstractActuation):
    """Constant actuation map with a trainable matrix.

    **Arguments:**

    - `matrix`: initial `B`, shape `(n, m)`, a trainable leaf.
    """

    matrix: Float[Array, "n m"]

    def __call__(self, q: Float[Array, " n"], action: Float[Array, " m"]) -> Float[Array, " n"]:
        return self.matrix @ action
