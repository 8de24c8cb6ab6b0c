from typing import NamedTuple

from jaxtyping import Array, Bool, Float

from ..mechanics import State


class Experience(NamedTuple):
    """What one action did: the record that agents and models learn from.

    A PyTree; a batch or a whole recording is an `Experience` with a leading axis.

    **Attributes:**

    - `state`: before the action.
    - `action`: in `[-1, 1]^m`, shape `(m,)`, held for one `dt`.
    - `reward`: what the environment paid for it.
    - `next_state`: one `dt` later.
    - `terminated`: whether the environment ended there for good. Running out of time is
        not that.
    """

    state: State
    action: Float[Array, "*batch m"]
    reward: Float[Array, "*batch"]
    next_state: State
    terminated: Bool[Array, "*batch"]
