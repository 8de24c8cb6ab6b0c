from typing import NamedTuple

import jax
from jaxtyping import Array, Float

from ..mechanics import State
from ..simulate import AbstractTransition
from ._vectors import to_state, to_vector


class LinearDynamics(NamedTuple):
    """Linear discrete-time dynamics `x' = A x + B u` of small deviations `x = (q, qd)`.

    **Attributes:**

    - `a`: `A`, shape `(2 n, 2 n)`.
    - `b`: `B`, shape `(2 n, m)`.
    """

    a: Float[Array, "*batch two_n two_n"]
    b: Float[Array, "*batch two_n m"]


def linearise(
    transition: AbstractTransition, state: State, action: Float[Array, " m"]
) -> LinearDynamics:
    """Linearise one step of a transition by forward differentiation.

    **Arguments:** `transition`, the dynamics; `state` and `action`, the point, shapes `(n,)`
    and `(m,)`.
    """

    def step(x: Array, u: Array) -> Array:
        # Wrapping an angle has the derivative 1, so deviations need no care on the circle.
        return to_vector(transition.step(to_state(x), u))

    return LinearDynamics(*jax.jacfwd(step, argnums=(0, 1))(to_vector(state), action))
