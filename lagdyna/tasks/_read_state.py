from typing import Any

import numpy as np
from jaxtyping import Array, Float

from ..mechanics import State
from ..runtime import read_arrays
from ._spec import TaskSpec


def read_state(
    spec: TaskSpec, observation: Float[np.ndarray, "*batch obs"] | Float[Array, "*batch obs"]
) -> State:
    """Read the state from an observation.

    **Arguments:**

    - `spec`: description of the environment.
    - `observation`: one observation or a batch, shape `(*batch, obs)`.

    Velocities that are estimated are its last entries; see
    [`lagdyna.tasks.EstimatedVelocities`][].

    **Returns:** the coordinates and velocities, followed by the context with zero velocities.
    Arrays of shape `(*batch, n + context)`, of NumPy or JAX as the observation is.
    """
    # A `State` accepts arrays of NumPy too.
    parts: Any = read_arrays(spec, observation)
    return State(*parts)
