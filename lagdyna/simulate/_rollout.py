import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..mechanics import State
from ._transition import AbstractTransition


def rollout(
    transition: AbstractTransition, state: State, actions: Float[Array, "time m"]
) -> State:
    """Simulate the states that a sequence of actions produces.

    **Arguments:**

    - `transition`: the simulator.
    - `state`: the initial state, shapes `(n,)`.
    - `actions`: one action per step, shape `(time, m)`.

    **Returns:** the trajectory, a `State` of shapes `(time + 1, n)`. Entry 0 is the initial
    state.
    """

    def body(carry: State, action: Array) -> tuple[State, State]:
        next_state = transition.step(carry, action)
        return next_state, next_state

    _, states = jax.lax.scan(body, state, actions)
    return jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest]), state, states)
