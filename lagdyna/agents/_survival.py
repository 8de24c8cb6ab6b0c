import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..mechanics import State
from ..models import AbstractTermination


def survival(
    termination: AbstractTermination, states: State, discount: float
) -> tuple[Float[Array, "time batch"], Float[Array, "time batch"]]:
    """Compute discounts and weights that account for predicted termination.

    The discount after a step that reaches `s_{t+1}` is `gamma (1 - p_end(s_{t+1}))`, so
    nothing after the end of an episode counts. The weight of a step is the probability that
    its rollout is still running, the product of `1 - p_end` over the states up to its own
    (after Hafner et al. 2021, who assume that the start is alive; here a start may be any
    state).

    **Arguments:**

    - `termination`: the probability that an episode ends in a state.
    - `states`: `s_0 .. s_T`, a `State` of shapes `(T + 1, batch, n)`.
    - `discount`: `gamma`.

    **Returns:** the discount after each of the `T` steps, and the weight of each step. No
    gradient flows through the weights.
    """
    alive = 1 - jax.vmap(jax.vmap(termination))(states)
    weights = jnp.cumprod(jax.lax.stop_gradient(alive[:-1]), axis=0)
    return discount * alive[1:], weights
