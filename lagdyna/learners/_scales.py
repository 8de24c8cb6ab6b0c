import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Scalar

from ..data import Experience
from ..mechanics import Coordinates, State


def step_scale(
    experience: Experience,
    coordinates: Coordinates,
    where: Bool[Array, " rows"] | None = None,
) -> State:
    """How much each coordinate and velocity changes in one step: the scale of its error.

    **Arguments:**

    - `experience`: with one leading axis, `rows`.
    - `coordinates`: which coordinates are angles.
    - `where`: which rows count; all by default.

    **Returns:** a `State` of root mean square changes, shapes `(n,)`, for
    [`lagdyna.learners.OneStepLoss`][] and [`lagdyna.learners.MultiStepLoss`][]. A coordinate
    that never moves gets a small positive scale.
    """
    before, after = experience.state, experience.next_state
    return State(
        root_mean_square(coordinates.difference(after.q, before.q), where),
        root_mean_square(after.qd - before.qd, where),
    )


def root_mean_square(
    x: Float[Array, "rows *shape"], where: Bool[Array, " rows"] | None = None
) -> Float[Array, "*shape"]:
    """Root mean square over rows, kept above a thousandth of the largest of `x`'s columns."""
    rows = jnp.ones(x.shape[0], bool) if where is None else where
    squares = jax.vmap(lambda row, keep: jnp.where(keep, row**2, 0))(x, rows)
    rms = jnp.sqrt(jnp.sum(squares, axis=0) / jnp.maximum(jnp.sum(rows), 1))
    return _bounded(rms)


def _bounded(scale: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    largest: Scalar = jnp.max(scale)
    return jnp.maximum(scale, jnp.where(largest > 0, 1e-3 * largest, 1.0))
