import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..mechanics import State
from ._transition import AbstractTransition


def rollout(
    transition: AbstractTransition, state: State, actions: Float[Array, "time m"]
) -> State:
    """The states visited from `state` under a sequence of actions, by one `scan`.

    **Arguments:**

    - `transition`: the simulator.
    - `state`: where to start.
    - `actions`: one action per step, shape `(time, m)`.

    **Returns:** a `State` with a leading axis of `time + 1`, the start included.
    """

    def body(carry: State, action: Array) -> tuple[State, State]:
        following = transition.step(carry, action)
        return following, following

    _, states = jax.lax.scan(body, state, actions)
    return jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest]), state, states)
