import jax
from jaxtyping import Array, Float


def lambda_returns(
    rewards: Float[Array, "time *batch"],
    next_values: Float[Array, "time *batch"],
    discount: float | Float[Array, "time *batch"],
    lambda_: float,
) -> Float[Array, "time *batch"]:
    """Exponentially weighted returns along imagined rollouts.

        V_lambda(s_t) = r_t + gamma ((1 - lambda) V'(s_{t+1}) + lambda V_lambda(s_{t+1}))

    with `V_lambda(s_T) = V'(s_T)` (Ramesh & Ravindran 2023).

    **Arguments:**

    - `rewards`: `r_0 .. r_{T-1}`.
    - `next_values`: `V'(s_1) .. V'(s_T)`.
    - `discount`: `gamma`; or one for each step, `gamma_t` between `r_t` and `s_{t+1}`,
        as of episodes that may end there.
    - `lambda_`: 0 looks one step ahead, 1 to the end of the rollout.

    **Returns:** `V_lambda(s_0) .. V_lambda(s_{T-1})`.
    """

    def body(following: Array, step: tuple[Array, ...]) -> tuple[Array, Array]:
        reward, value, *own = step
        gamma = own[0] if own else discount
        target = reward + gamma * ((1 - lambda_) * value + lambda_ * following)
        return target, target

    # The rewards and values are a few hundred numbers: unrolled, the recursion costs
    # nothing beside the loop that it would otherwise be.
    own = () if isinstance(discount, float | int) else (discount,)
    steps: tuple[Array, ...] = (rewards, next_values, *own)
    _, returns = jax.lax.scan(body, next_values[-1], steps, reverse=True, unroll=True)
    return returns
