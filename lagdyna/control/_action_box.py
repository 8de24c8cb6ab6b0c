import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


class ActionBox(eqx.Module):
    """Lower and upper limits of actions.

    [`lagdyna.control.ActionBox.unit`][] is the box of tasks and their models, `[-1, 1]^m`. A
    model that was fitted to recorded forces takes forces, so its box has their limits.

    **Arguments:**

    - `lower`, `upper`: limits of each action, length `m`.

    **Raises:** `ValueError` if the limits differ in length, are not finite, or if a lower one
    is not below the upper one.
    """

    lower: tuple[float, ...] = eqx.field(static=True)
    upper: tuple[float, ...] = eqx.field(static=True)

    def __check_init__(self):
        lower, upper = np.asarray(self.lower, float), np.asarray(self.upper, float)
        same = lower.shape == upper.shape and lower.ndim == 1 and lower.size > 0
        if not same or not np.all(np.isfinite([lower, upper])) or np.any(lower >= upper):
            raise ValueError(
                f"`lower` was {self.lower} and `upper` was {self.upper}; one finite number for "
                "each action is accepted, each lower one below the upper one"
            )

    @classmethod
    def unit(cls, action_size: int) -> "ActionBox":
        """Construct the box `[-1, 1]^m`."""
        return cls((-1.0,) * action_size, (1.0,) * action_size)

    @property
    def size(self) -> int:
        """Number of actions, `m`."""
        return len(self.lower)

    def bounds(self, like: Array) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
        """Return the limits as arrays of the precision of `like`."""
        return jnp.asarray(self.lower, like.dtype), jnp.asarray(self.upper, like.dtype)

    def clip(self, action: Float[Array, "*batch m"]) -> Float[Array, "*batch m"]:
        """Clip each action to its limits."""
        return jnp.clip(action, *self.bounds(action))
