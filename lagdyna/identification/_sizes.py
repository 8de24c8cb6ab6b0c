"""Sizes and scales of recordings, and the plant that they describe."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from .._errors import UserError
from ..config import FitConfig
from ..learners import root_mean_square, step_scale
from ..mechanics import AbstractActuation, FixedActuation, LearnedActuation, State
from ..tasks import Plant
from ._data import Control, PreparedData, coordinates_of, experience_of


class Sizes(NamedTuple):
    """Sizes and scales of the training data; with the config, enough to build a model.

    **Attributes:**

    - `n`, `actions`: number of coordinates, and width of the control.
    - `control`: name of the recorded array that drives the system, `None` without one.
    - `dt`: step of the model, seconds.
    - `speeds`: root mean square of each velocity.
    - `steps_q`, `steps_qd`: root mean square change of each coordinate and velocity in `dt`.
    """

    n: int
    actions: int
    control: Control
    dt: float
    speeds: tuple[float, ...]
    steps_q: tuple[float, ...]
    steps_qd: tuple[float, ...]


def sizes_of(data: PreparedData) -> Sizes:
    """Measure the training data."""
    experience = experience_of(data, data.steps.training)
    change = step_scale(experience, data.coordinates)
    speeds, steps_q, steps_qd = (
        tuple(np.asarray(x, np.float64).tolist())
        for x in (root_mean_square(experience.state.qd), change.q, change.qd)
    )
    return Sizes(
        n=data.coordinates.n,
        actions=data.action_size,
        control=data.control,
        dt=data.dt,
        speeds=speeds,
        steps_q=steps_q,
        steps_qd=steps_qd,
    )


def plant_of(config: FitConfig, sizes: Sizes) -> Plant:
    """Describe the system that was recorded.

    **Raises:** `UserError` if `data.angles` or `data.force` does not fit the recordings.
    """
    return Plant(
        name="the data",
        coordinates=coordinates_of(config.data, sizes.n),
        context_size=0,
        action_size=sizes.actions,
        dt=sizes.dt,
        substeps=1,
        actuation=_actuation(config, sizes),
        velocity_scale=sizes.speeds,
        acceleration_scale=tuple(change / sizes.dt for change in sizes.steps_qd),
        step_scale=State(jnp.asarray(sizes.steps_q), jnp.asarray(sizes.steps_qd)),
        velocity_limits=None,
        range=None,
        dissipation="none",
    )


def _actuation(config: FitConfig, sizes: Sizes) -> AbstractActuation:
    """Create the map from the control to generalised forces."""
    n, m, force = sizes.n, sizes.actions, config.data.force
    if sizes.control != "action":
        if force is not None:
            raise UserError(
                f"`data.force` was given with `data.control` = {sizes.control or 'none'!r}, "
                "which needs no map to forces; leave `data.force` out, or record `action`"
            )
        return FixedActuation(tuple(tuple(float(i == j) for j in range(m)) for i in range(n)))
    if force is None:
        return LearnedActuation(jnp.eye(n, m))
    if len(force) != n or {len(row) for row in force} != {m}:
        raise UserError(
            f"`data.force` was {[list(row) for row in force]}; {n} rows of {m} numbers, one "
            "row for each coordinate, are accepted"
        )
    return FixedActuation(force)
