from typing import NamedTuple

from jaxtyping import Array, Float


class State(NamedTuple):
    """State of a mechanical system: coordinates and velocities.

    It is a PyTree; a batch of states is a `State` of batched arrays.

    **Attributes:**

    - `q`: generalised coordinates, shape `(n,)`, metres or radians.
    - `qd`: generalised velocities, shape `(n,)`, metres or radians per second.
    """

    q: Float[Array, "*batch n"]
    qd: Float[Array, "*batch n"]
