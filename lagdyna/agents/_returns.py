import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar


def lambda_returns(
    rewards: Float[Array, "time *batch"],
    next_values: Float[Array, "time *batch"],
    discount: float | Scalar | Float[Array, "time *batch"],
    lambda_: float | Scalar,
) -> Float[Array, "time *batch"]:
    """Compute the lambda-return of each step of imagined rollouts.

        V_lambda(s_t) = r_t + gamma ((1 - lambda) V'(s_{t+1}) + lambda V_lambda(s_{t+1}))

    with `V_lambda(s_T) = V'(s_T)` (Ramesh & Ravindran 2023).

    **Arguments:**

    - `rewards`: `r_0 .. r_{T-1}`.
    - `next_values`: `V'(s_1) .. V'(s_T)`, in units of reward.
    - `discount`: `gamma`, or one for each step: `gamma_t` between `r_t` and `s_{t+1}`, as
        [`lagdyna.agents.survival`][] computes for episodes that may end.
    - `lambda_`: from 0, the one-step return, to 1, the return of the whole rollout.

    **Returns:** `V_lambda(s_0) .. V_lambda(s_{T-1})`.
    """

    def body(next_return: Array, step: tuple[Array, ...]) -> tuple[Array, Array]:
        reward, value, *own = step
        gamma = own[0] if own else discount
        target = reward + gamma * ((1 - lambda_) * value + lambda_ * next_return)
        return target, target

    # Unrolled: the arrays are small, and the overhead of a loop would dominate.
    own = () if jnp.ndim(discount) == 0 else (jnp.asarray(discount),)
    steps: tuple[Array, ...] = (rewards, next_values, *own)
    _, returns = jax.lax.scan(body, next_values[-1], steps, reverse=True, unroll=True)
    return returns
