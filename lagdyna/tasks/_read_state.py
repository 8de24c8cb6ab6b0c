from typing import Any

import numpy as np
from jaxtyping import Float

from ..mechanics import State
from ._spec import TaskSpec


def read_state(spec: TaskSpec, observation: Float[np.ndarray, "*batch obs"]) -> State:
    """Read the state from an observation.

    **Arguments:**

    - `spec`: description of the environment.
    - `observation`: one observation or a batch, shape `(*batch, obs)`.

    Velocities that are estimated are its last entries; see
    [`lagdyna.tasks.EstimatedVelocities`][].

    **Returns:** the coordinates and velocities, followed by the context with zero velocities.
    NumPy arrays of shape `(*batch, n + context)`.
    """
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
        qd.append(np.zeros_like(observation[..., i]))
    return State(_stack(q), _stack(qd))


def read_positions(
    spec: TaskSpec, observation: Float[np.ndarray, "*batch obs"]
) -> list[np.ndarray | np.generic]:
    """Read each coordinate from an observation, shapes `(*batch,)`."""
    observed, q = [], []
    for c in spec.coordinates:
        if c.cos is not None and c.sin is not None:
            observed.append(np.arctan2(observation[..., c.sin], observation[..., c.cos]))
        else:
            observed.append(observation[..., c.position])
    for position, c in zip(observed, spec.coordinates, strict=True):
        if c.relative_to is not None:
            angle = position - observed[c.relative_to]
            position = np.arctan2(np.sin(angle), np.cos(angle))  # wrapped into [-pi, pi]
        q.append(position)
    return q


def _stack(columns: list[np.ndarray | np.generic]) -> Any:
    """Stack columns into an array of their precision, at least float32.

    A `State` accepts NumPy arrays as well as JAX arrays.
    """
    stacked = np.stack(columns, axis=-1)
    return stacked.astype(np.result_type(stacked.dtype, np.float32))
