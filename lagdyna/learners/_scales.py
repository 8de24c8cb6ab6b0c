import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Scalar

from ..data import Experience
from ..mechanics import Coordinates, State


def step_scale(
    experience: Experience,
    coordinates: Coordinates,
    where: Bool[Array, " rows"] | None = None,
    unit: State | None = None,
) -> State:
    """Compute the root mean square change of each coordinate and velocity in one step.

    The result is the `scale` of [`lagdyna.learners.OneStepLoss`][] and
    [`lagdyna.learners.MultiStepLoss`][].

    **Arguments:**

    - `experience`: transitions with one leading axis, `rows`.
    - `coordinates`: which coordinates are angles. Changes of angles are taken on the circle.
    - `where`: mask of the rows to use; all rows by default.
    - `unit`: units in which different coordinates are comparable, shapes `(n,)`; ones by
        default.

    **Returns:** a `State` of scales, shapes `(n,)`, in the units of the state. A coordinate
    that never moves gets a small positive scale.
    """
    before, after = experience.state, experience.next_state
    q_unit, qd_unit = (None, None) if unit is None else unit
    return State(
        root_mean_square(coordinates.difference(after.q, before.q), where, q_unit),
        root_mean_square(after.qd - before.qd, where, qd_unit),
    )


def root_mean_square(
    x: Float[Array, "rows *shape"],
    where: Bool[Array, " rows"] | None = None,
    unit: Float[Array, "*shape"] | None = None,
) -> Float[Array, "*shape"]:
    """Compute the root mean square of each column, bounded away from zero.

    **Arguments:**

    - `x`: data with one leading axis, `rows`.
    - `where`: mask of the rows to use; all rows by default.
    - `unit`: units in which different columns are comparable; ones by default.

    **Returns:** the root mean squares, of the shape of one row. Each is at least a thousandth
    of the largest one, measured in `unit`. If all are zero, each is `unit`.
    """
    if unit is not None:
        return unit * root_mean_square(x / unit, where)
    rows = jnp.ones(x.shape[0], bool) if where is None else where
    squares = jax.vmap(lambda row, keep: jnp.where(keep, row**2, 0))(x, rows)
    rms = jnp.sqrt(jnp.sum(squares, axis=0) / jnp.maximum(jnp.sum(rows), 1))
    return _bounded(rms)


def _bounded(scale: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Raise small scales to a thousandth of the largest; return ones if all are zero."""
    largest: Scalar = jnp.max(scale)
    return jnp.maximum(scale, jnp.where(largest > 0, 1e-3 * largest, 1.0))
