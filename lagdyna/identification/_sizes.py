"""Sizes and scales of recordings, and the plant that they describe."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .._errors import UserError
from ..config import FitConfig
from ..learners import root_mean_square, step_scale
from ..mechanics import AbstractActuation, FixedActuation, LearnedActuation, State, Units
from ..tasks import Plant
from ._data import Control, PreparedData, controls_of, coordinates_of, experience_of
from ._units import measure

# Speed below which Coulomb friction is smoothed, of the usual speed.
_FRICTION_SPEED = 0.03


class Sizes(NamedTuple):
    """Sizes and scales of the training data; with the config, enough to build a model.

    **Attributes:**

    - `n`, `actions`: number of coordinates, and width of the control.
    - `control`: name of the recorded array that drives the system, `None` without one.
    - `dt`: step of the model, seconds.
    - `time`, `energy`, `position`, `origin`, `action`: natural units; see
        [`lagdyna.mechanics.Units`][].
    - `mass`: usual diagonal of the mass matrix, kg or kg m^2.
    - `speeds`: root mean square of each velocity.
    - `steps_q`, `steps_qd`: root mean square change of each coordinate and velocity in `dt`.
    """

    n: int
    actions: int
    control: Control
    dt: float
    time: float
    energy: float
    position: tuple[float, ...]
    origin: tuple[float, ...]
    action: tuple[float, ...]
    mass: tuple[float, ...]
    speeds: tuple[float, ...]
    steps_q: tuple[float, ...]
    steps_qd: tuple[float, ...]

    @property
    def units(self) -> Units:
        """Natural units of the data."""
        return Units(self.time, self.energy, self.position, self.origin, self.action)


def sizes_of(config: FitConfig, data: PreparedData) -> Sizes:
    """Measure the training data."""
    training = data.steps.training
    experience = experience_of(data, training)
    controls = [controls_of(data, each) for each in training]
    units, mass = measure(
        training, data.coordinates, data.dt, controls, _forces(config, data, controls)
    )
    unit = State(jnp.asarray(units.position), jnp.asarray(units.velocity))
    # As two programs; operation by operation they compile fifty.
    change = eqx.filter_jit(step_scale)(experience, data.coordinates, unit=unit)
    speeds = eqx.filter_jit(root_mean_square)(experience.state.qd, unit=unit.qd)
    speeds, steps_q, steps_qd = (
        tuple(np.asarray(x, np.float64).tolist()) for x in (speeds, change.q, change.qd)
    )
    return Sizes(
        n=data.coordinates.n,
        actions=data.action_size,
        control=data.control,
        dt=data.dt,
        **units._asdict(),
        mass=mass,
        speeds=speeds,
        steps_q=steps_q,
        steps_qd=steps_qd,
    )


def plant_of(config: FitConfig, sizes: Sizes) -> Plant:
    """Describe the system that was recorded.

    **Raises:** `UserError` if `data.angles` or `data.force` does not fit the recordings.
    """
    units = sizes.units
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
        units=units,
        mass=sizes.mass,
        friction_speed=_FRICTION_SPEED * _mean_speed(sizes),
    )


def _mean_speed(sizes: Sizes) -> float:
    """Geometric mean of the velocities, in natural units."""
    natural = np.array(sizes.speeds) / np.array(sizes.units.velocity)
    return float(np.exp(np.mean(np.log(natural))))


def _forces(
    config: FitConfig, data: PreparedData, controls: list[Float[np.ndarray, "_ m"]]
) -> list[Float[np.ndarray, "_ n"]] | None:
    """Compute the recorded generalised forces; `None` if they are unknown."""
    if data.control == "tau":
        return controls
    if data.control is None or config.data.force is None:
        return None
    force = np.array(config.data.force)
    if force.shape != (data.coordinates.n, data.action_size):
        return None  # refused where the plant is described
    return [control @ force.T for control in controls]


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
        units = sizes.units
        scale = np.array(units.force)[:, None] / np.array(units.action)
        return LearnedActuation(jnp.asarray(np.eye(n, m) * scale))
    if len(force) != n or {len(row) for row in force} != {m}:
        raise UserError(
            f"`data.force` was {[list(row) for row in force]}; {n} rows of {m} numbers, one "
            "row for each coordinate, are accepted"
        )
    return FixedActuation(force)
