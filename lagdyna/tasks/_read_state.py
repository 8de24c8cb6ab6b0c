from typing import Any

import numpy as np
from jaxtyping import Array, Float

from ..mechanics import State
from ._spec import TaskSpec

Observations = Float[np.ndarray, "*batch obs"] | Float[Array, "*batch obs"]


def read_state(spec: TaskSpec, observation: Observations) -> State:
    """Read the state from an observation.

    **Arguments:**

    - `spec`: description of the environment.
    - `observation`: one observation or a batch, shape `(*batch, obs)`.

    Velocities that are estimated are its last entries; see
    [`lagdyna.tasks.EstimatedVelocities`][].

    **Returns:** the coordinates and velocities, followed by the context with zero velocities.
    Arrays of shape `(*batch, n + context)`, of NumPy or JAX as the observation is.
    """
    xp: Any = observation.__array_namespace__()
    q, qd = read_positions(spec, observation), []
    estimated = -spec.estimated
    for c in spec.coordinates:
        if c.velocity is None:
            qd.append(observation[..., estimated])
            estimated += 1
        else:
            qd.append(observation[..., c.velocity])
    for i in spec.context:
        q.append(observation[..., i])
        qd.append(xp.zeros_like(observation[..., i]))
    return State(_stack(xp, q), _stack(xp, qd))


def read_positions(spec: TaskSpec, observation: Observations) -> list[Any]:
    """Read each coordinate from an observation, shapes `(*batch,)`."""
    xp: Any = observation.__array_namespace__()
    observed, q = [], []
    for c in spec.coordinates:
        if c.cos is not None and c.sin is not None:
            observed.append(xp.arctan2(observation[..., c.sin], observation[..., c.cos]))
        else:
            observed.append(observation[..., c.position])
    for position, c in zip(observed, spec.coordinates, strict=True):
        if c.relative_to is not None:
            angle = position - observed[c.relative_to]
            position = xp.arctan2(xp.sin(angle), xp.cos(angle))  # wrapped into [-pi, pi]
        q.append(position)
    return q


def _stack(xp: Any, columns: list[Any]) -> Any:
    """Stack columns into an array of their precision, at least float32.

    A `State` accepts NumPy arrays as well as JAX arrays.
    """
    stacked = xp.stack(columns, axis=-1)
    return stacked.astype(np.result_type(stacked.dtype, np.float32))
