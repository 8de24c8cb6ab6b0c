import jax
import jax.numpy as jnp
from jaxtyping import Array, DTypeLike, Float, PRNGKeyArray

from ._action_box import ActionBox


def random_actions(
    key: PRNGKeyArray, number: int, steps: int, box: ActionBox, hold: float, dtype: DTypeLike
) -> Float[Array, "number steps m"]:
    """Draw sequences of uniform actions, each held for some steps.

    **Arguments:** `hold`, the mean number of steps for which an action is held.
    """
    value_key, change_key = jax.random.split(key)
    shape = (steps, number, box.size)
    lower, upper = (jnp.asarray(x, dtype) for x in (box.lower, box.upper))
    values = jax.random.uniform(value_key, shape, dtype, lower, upper)
    changes = jax.random.bernoulli(change_key, 1 / hold, (steps, number, 1))

    def body(held: Array, step: tuple[Array, Array]) -> tuple[Array, Array]:
        value, change = step
        held = jnp.where(change, value, held)
        return held, held

    _, actions = jax.lax.scan(body, values[0], (values, changes))
    return jnp.moveaxis(actions, 1, 0)
