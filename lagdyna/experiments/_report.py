"""How good a fitted model is, in numbers: errors, torques, energy, rollouts."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..data import Experience, Trajectory, TrajectorySet
from ..mechanics import Coordinates, Forces, State
from ._fitted_model import FittedModel

Report = dict[str, Any]


class Motion(NamedTuple):
    """A trajectory at the model's step, on the device, and the model's rollout beside it.

    **Attributes:** `t`, `(time,)`; `states` and `predicted`, of shapes `(time, n)`;
    `control`, `(time - 1, m)`; `energy` and `kinetic`, the model's along the data, and
    `predicted_energy` along the rollout, `(time,)`, or `None`.
    """

    t: np.ndarray
    states: State
    predicted: State
    control: np.ndarray
    energy: np.ndarray | None
    kinetic: np.ndarray | None
    predicted_energy: np.ndarray | None


def errors(model: FittedModel, steps: Experience) -> Report:
    """Root mean square error of a step, per coordinate."""
    return {
        name: _listed(rms)
        for name, rms in zip(("q", "qd"), _step_errors(model, steps), strict=True)
    }


@eqx.filter_jit
def _step_errors(model: FittedModel, steps: Experience) -> tuple[Array, Array]:
    predicted = jax.vmap(model.step)(steps.state, steps.action)
    difference = model.transition.coordinates.difference
    q = difference(predicted.q, steps.next_state.q)
    return _rms(q), _rms(predicted.qd - steps.next_state.qd)


def acceleration_errors(
    model: FittedModel,
    state: State,
    action: Float[Array, "rows m"],
    qdd: Float[Array, "rows n"],
) -> list[float | None]:
    """Root mean square error of the acceleration, per coordinate."""
    predicted = _rows(FittedModel.forward_dynamics, model, state.q, state.qd, action)
    return _listed(_rms(predicted - qdd))


class Torques(NamedTuple):
    """Recorded forces beside the model's and their parts, each `(rows, n)`."""

    recorded: np.ndarray
    predicted: np.ndarray
    parts: Forces


def torques(
    model: FittedModel,
    trajectory: Trajectory,
) -> Torques | None:
    """The forces along a trajectory, or `None` where the data or the model have none."""
    if trajectory.tau is None or trajectory.qdd is None or not model.has_lagrangian:
        return None
    assert trajectory.qd is not None
    arrays = [jnp.asarray(x) for x in (trajectory.q, trajectory.qd, trajectory.qdd)]
    predicted = _rows(FittedModel.inverse_dynamics, model, *arrays)
    parts = _rows(FittedModel.forces, model, *arrays)
    return Torques(trajectory.tau, np.asarray(predicted), jax.tree.map(np.asarray, parts))


def torque_errors(model: FittedModel, trajectories: TrajectorySet) -> list[float] | None:
    """Root mean square error of the generalised force, per coordinate."""
    found = [torques(model, trajectory) for trajectory in trajectories]
    known = [each for each in found if each is not None]
    if not known:
        return None
    difference = np.concatenate([each.predicted - each.recorded for each in known])
    return np.sqrt(np.mean(difference**2, axis=0)).tolist()


def motions(
    model: FittedModel, trajectories: TrajectorySet, controls: list[np.ndarray]
) -> list[Motion]:
    """The model's rollout from the start of each trajectory, under its recorded control."""
    return [
        _motion(model, trajectory, control)
        for trajectory, control in zip(trajectories, controls, strict=True)
    ]


def _motion(model: FittedModel, trajectory: Trajectory, control: np.ndarray) -> Motion:
    assert trajectory.qd is not None
    states = State(jnp.asarray(trajectory.q), jnp.asarray(trajectory.qd))
    start = jax.tree.map(lambda x: x[0], states)
    predicted = eqx.filter_jit(FittedModel.rollout)(model, start, jnp.asarray(control[:-1]))
    here, there = jax.tree.map(np.asarray, (states, predicted))
    if not model.has_energy:
        return Motion(trajectory.t, here, there, control[:-1], None, None, None)
    at_rest = State(states.q, jnp.zeros_like(states.qd))
    energy, potential, along = (
        np.asarray(_rows(FittedModel.energy, model, *s), np.float64)
        for s in (states, at_rest, predicted)
    )
    return Motion(trajectory.t, here, there, control[:-1], energy, energy - potential, along)


@eqx.filter_jit
def _rows(question: Callable[..., Any], model: FittedModel, *arrays: Array) -> Any:
    """A question to the model, asked of every row."""
    return jax.vmap(lambda *row: question(model, *row))(*arrays)


def rollout_errors(motions: list[Motion], coordinates: Coordinates, dt: float) -> Report:
    """Root mean square error of rollouts against their horizon, per coordinate.

    A horizon counts the trajectories that last that long.
    """
    longest = max(len(motion.t) for motion in motions) - 1
    horizons = sorted({min(h, longest) for h in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)})
    report: Report = {"horizon": [], "seconds": [], "trajectories": [], "q": [], "qd": []}
    for horizon in horizons:
        long = [motion for motion in motions if len(motion.t) > horizon]
        true, predicted = (
            State(
                *(jnp.stack([x[horizon] for x in each]) for each in zip(*states, strict=True))
            )
            for states in ([m.states for m in long], [m.predicted for m in long])
        )
        report["horizon"].append(horizon)
        report["seconds"].append(horizon * dt)
        report["trajectories"].append(len(long))
        report["q"].append(_listed(_rms(coordinates.difference(predicted.q, true.q))))
        report["qd"].append(_listed(_rms(predicted.qd - true.qd)))
    return report


def energy_drift(motions: list[Motion]) -> Report | None:
    """How far the learned energy strays from its start, along the data and the rollouts.

    Root mean squares over times and trajectories, divided by the largest kinetic energy
    that the model sees in the data, `joules`. Forces and friction change the energy too:
    0 is asked for only where there are none.
    """
    known = [motion for motion in motions if motion.energy is not None]
    if not known:
        return None
    joules = max(float(np.max(np.asarray(motion.kinetic))) for motion in known)
    strays = {
        "data": [np.asarray(m.energy) - np.asarray(m.energy)[0] for m in known],
        "rollout": [
            np.asarray(m.predicted_energy) - np.asarray(m.predicted_energy)[0] for m in known
        ],
    }
    return {
        "joules": joules,
        **{
            name: finite(float(np.sqrt(np.mean(np.concatenate(each) ** 2)) / joules))
            for name, each in strays.items()
        },
    }


def _rms(x: Array) -> Array:
    return jnp.sqrt(jnp.mean(x**2, axis=0))


def _listed(x: Array) -> list[float | None]:
    """For JSON, which knows no infinity: what is not finite is `None`."""
    return [finite(float(value)) for value in x]


def finite(value: float) -> float | None:
    """The value if it is finite, else `None`."""
    return value if np.isfinite(value) else None
