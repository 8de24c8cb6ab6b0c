from typing import NamedTuple

from jaxtyping import Array, Bool, Float

from ..mechanics import State


class Experience(NamedTuple):
    """Transition of the environment: state, action, reward, next state, termination.

    Agents and models learn from it. It is a PyTree; a batch or a whole recording is an
    `Experience` with leading axes.

    **Attributes:**

    - `state`: state before the action, shapes `(n,)`.
    - `action`: action in `[-1, 1]^m`, shape `(m,)`, constant for one `dt`.
    - `reward`: reward of the step, a scalar.
    - `next_state`: state one `dt` later, shapes `(n,)`.
    - `terminated`: whether the next state is terminal. False when an episode is only
        truncated by its time limit.
    """

    state: State
    action: Float[Array, "*batch m"]
    reward: Float[Array, "*batch"]
    next_state: State
    terminated: Bool[Array, "*batch"]
