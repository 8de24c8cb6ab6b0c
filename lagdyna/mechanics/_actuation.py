import abc

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


class AbstractActuation(eqx.Module):
    """Map from an action to a generalised force, `tau = B(q) action` and a constant."""

    @abc.abstractmethod
    def __call__(self, q: Float[Array, " n"], action: Float[Array, " m"]) -> Float[Array, " n"]:
        """Compute the generalised force of an action.

        **Arguments:**

        - `q`: generalised coordinates, shape `(n,)`.
        - `action`: control in `[-1, 1]^m`, shape `(m,)`.

        **Returns:** the generalised force, shape `(n,)`, N or N m.
        """


class FixedActuation(AbstractActuation):
    """Known, constant actuation map without trainable leaves, `tau = B action + offset`.

    **Arguments:**

    - `matrix`: `B`, `n` rows of `m` numbers. Entry `(i, j)` is the generalised force
        (N or N m) that action `j` of 1 adds on coordinate `i`.
    - `offset`: generalised force at an action of zero, `n` numbers; none by default. Actuators
        whose bounds are not symmetric have one, since 0 is the middle of the bounds.

    **Raises:** `ValueError` if `matrix` is empty, its rows differ in length, or `offset` has
    another number of entries than `matrix` has rows.
    """

    matrix: tuple[tuple[float, ...], ...] = eqx.field(static=True)
    offset: tuple[float, ...] | None = eqx.field(static=True)

    def __init__(
        self,
        matrix: tuple[tuple[float, ...], ...],
        offset: tuple[float, ...] | None = None,
    ):
        if len(matrix) == 0 or len({len(row) for row in matrix}) != 1:
            raise ValueError(f"`matrix` must have n >= 1 rows of equal length, got {matrix!r}")
        if offset is not None and len(offset) != len(matrix):
            raise ValueError(
                f"`offset` was {offset!r} with a `matrix` of {len(matrix)} rows; one number "
                "per row is accepted"
            )
        self.matrix = tuple(tuple(float(x) for x in row) for row in matrix)
        self.offset = None if offset is None else tuple(float(x) for x in offset)

    def __call__(self, q: Float[Array, " n"], action: Float[Array, " m"]) -> Float[Array, " n"]:
        force = jnp.asarray(np.asarray(self.matrix), q.dtype) @ action
        if self.offset is None:
            return force
        return force + jnp.asarray(np.asarray(self.offset), q.dtype)


class LearnedActuation(AbstractActuation):
    """Constant actuation map with a trainable matrix.

    **Arguments:**

    - `matrix`: initial `B`, shape `(n, m)`, a trainable leaf.
    """

    matrix: Float[Array, "n m"]

    def __call__(self, q: Float[Array, " n"], action: Float[Array, " m"]) -> Float[Array, " n"]:
        return self.matrix @ action
