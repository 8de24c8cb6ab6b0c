import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..mechanics import State
from ..models import AbstractTermination


def survival(
    termination: AbstractTermination, states: State, discount: float
) -> tuple[Float[Array, "time batch"], Float[Array, "time batch"]]:
    """What the ends of episodes make of imagined rollouts, which themselves go on.

    The discount after a step that reaches `s_{t+1}` is `gamma (1 - p_end(s_{t+1}))`: what
    would follow the end does not count. And a step counts by the probability that its
    rollout has got there, the product of `1 - p_end` over the states up to its own (after
    Hafner et al. 2021, who take the start for alive; here a start may be any state).

    **Arguments:**

    - `termination`: of the task.
    - `states`: `s_0 .. s_T`, a `State` of shapes `(T + 1, batch, n)`.
    - `discount`: `gamma`.

    **Returns:** the discounts after each of the `T` steps, and the weight of each step,
    through which no gradient flows.
    """
    alive = 1 - jax.vmap(jax.vmap(termination))(states)
    weights = jnp.cumprod(jax.lax.stop_gradient(alive[:-1]), axis=0)
    return discount * alive[1:], weights
