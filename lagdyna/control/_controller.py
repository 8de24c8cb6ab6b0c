import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ..mechanics import State
from ..simulate import AbstractTransition


class AbstractController(eqx.Module):
    """Controller with an explicit memory, usable in a Python loop, `jit`, `vmap` and `scan`.

    A controller holds no changing state. `control` takes the memory of the last step and
    returns that of the next.
    """

    @abc.abstractmethod
    def init(self, state: State) -> PyTree:
        """Create the memory before the first step, a PyTree of arrays.

        **Arguments:** `state`, the first state, shapes `(n,)`.
        """

    @abc.abstractmethod
    def control(self, memory: PyTree, state: State) -> tuple[Float[Array, " m"], PyTree]:
        """Compute the action of one step.

        **Arguments:** `memory`, from `init` or the last step; `state`, the current state,
        shapes `(n,)`.

        **Returns:** the action within its limits, shape `(m,)`, and the next memory.
        """


def closed_loop(
    transition: AbstractTransition,
    controller: AbstractController,
    state: State,
    steps: int,
) -> tuple[State, Float[Array, "time m"]]:
    """Simulate a transition under a controller.

    **Arguments:**

    - `transition`: the simulator; it may differ from the model of the controller.
    - `controller`: the controller, which starts with a new memory.
    - `state`: the first state, shapes `(n,)`.
    - `steps`: number of steps.

    **Returns:** the states, shapes `(steps + 1, n)`, the first included, and the actions.
    """

    def body(carry: tuple[State, PyTree], _: None) -> tuple[tuple[State, PyTree], PyTree]:
        now, memory = carry
        action, memory = controller.control(memory, now)
        after = transition.step(now, action)
        return (after, memory), (after, action)

    carry = (state, controller.init(state))
    _, (states, actions) = jax.lax.scan(body, carry, length=steps)
    whole = jax.tree.map(
        lambda first, rest: jnp.concatenate([first[None], rest]), state, states
    )
    return whole, actions
