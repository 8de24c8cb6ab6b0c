"""Evaluation of a fitted model: errors of steps, accelerations, torques, rollouts; energy."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float

from ..data import Experience, Trajectory, TrajectorySet
from ..learners import accelerations
from ..mechanics import Coordinates, Forces, State
from ..simulate import LearnedModel
from ._data import PreparedData, controls_of, experience_of
from ._predictions import each_row, predicted_paths, predicted_steps
from ._relative import relative_errors, variation

Report = dict[str, Any]
"""Report of a fit, as `report.json` has it."""


class Motion(NamedTuple):
    """Recorded trajectory and the model's rollout from its start, as NumPy arrays.

    **Attributes:**

    - `t`: seconds, `(time,)`.
    - `states`, `predicted`: states of the data and of the rollout, shapes `(time, n)`.
    - `energy`, `kinetic`: learned energies along the data, J, `(time,)`; `None` if the model
        has no energy.
    - `predicted_energy`: learned energy along the rollout, J, `(time,)`, or `None`.
    """

    t: np.ndarray
    states: State
    predicted: State
    energy: np.ndarray | None
    kinetic: np.ndarray | None
    predicted_energy: np.ndarray | None


class Torques(NamedTuple):
    """Generalised forces: recorded, predicted, and the parts of the predicted ones.

    **Attributes:** `recorded`, `predicted`, and each of `parts`: `(rows, n)`, N or N m.
    """

    recorded: np.ndarray
    predicted: np.ndarray
    parts: Forces


class Drawn(NamedTuple):
    """Content of the figures of a fit, from test data or else validation data.

    **Attributes:** `coordinates`; `motions`; `torques` at the times `t`, or `None`;
    `rollout`, the errors of rollouts as in the report; `joints`, names of the coordinates; and
    `part`, the part of the data.
    """

    coordinates: Coordinates
    motions: list[Motion]
    torques: Torques | None
    t: np.ndarray
    rollout: Report
    joints: tuple[str, ...] | None = None
    part: str = "validation"


def evaluate(model: LearnedModel, data: PreparedData) -> tuple[Report, Drawn]:
    """Evaluate a model on training, validation and test data.

    **Returns:** for the report, root mean square errors per coordinate in the units of the
    data; and the content of the figures.
    """
    report = {}
    moved: list[Motion] = []
    # Unseen data come last, so that the figures show their motions.
    for name, raw, steps in data.parts:
        part: Report = {
            "trajectories": len(raw),
            "rows": raw.rows,
            "one_step": step_errors(model, experience_of(data, steps)),
        }
        if "qdd" in raw.fields and model.has_accelerations:
            found = accelerations(raw, data.coordinates, control=data.control)
            part["acceleration"] = acceleration_errors(
                model, found.state, found.action, found.qdd
            )
        forces = torques(model, [*raw]) if data.control == "tau" else None
        part["torque"] = None if forces is None else _torque_errors(forces)
        moved = motions(model, steps, [controls_of(data, each) for each in steps])
        part["rollout"] = rollout_errors(moved, data.coordinates, data.dt)
        part["energy_drift"] = energy_drift(moved)
        part["variation"] = variation(
            raw, experience_of(data, steps), data.coordinates, data.control
        )
        part["relative"] = relative_errors(part)
        report[name] = part
    name, raw, _ = data.parts[-1]
    first = raw[0]
    forces = torques(model, [first]) if data.control == "tau" else None
    rollout = report[name]["rollout"]
    return report, Drawn(data.coordinates, moved, forces, first.t, rollout, data.joints, name)


def step_errors(model: LearnedModel, steps: Experience) -> Report:
    """Compute the root mean square error of one step, per coordinate."""
    predicted = predicted_steps(model, steps)
    q = _apart(model.transition.coordinates, predicted.q, steps.next_state.q)
    qd = predicted.qd - np.asarray(steps.next_state.qd)
    return {"q": _listed(_rms(q)), "qd": _listed(_rms(qd))}


def acceleration_errors(
    model: LearnedModel,
    state: State,
    action: Float[Array, "rows m"],
    qdd: Float[Array, "rows n"],
) -> list[float | None]:
    """Compute the root mean square error of the acceleration, per coordinate."""
    predicted = each_row(LearnedModel.forward_dynamics, model, state.q, state.qd, action)
    return _listed(_rms(predicted - np.asarray(qdd)))


def torques(model: LearnedModel, trajectories: list[Trajectory]) -> Torques | None:
    """Compute the generalised forces in every row of some trajectories.

    **Returns:** `None` if the data have no forces or accelerations, or the model has no
    Lagrangian.
    """
    recorded = [each.arrays for each in trajectories]
    if not {"qd", "qdd", "tau"} <= recorded[0].keys() or not model.has_lagrangian:
        return None
    q, qd, qdd, tau = (
        np.concatenate([arrays[name] for arrays in recorded])
        for name in ("q", "qd", "qdd", "tau")
    )
    predicted = each_row(LearnedModel.inverse_dynamics, model, q, qd, qdd)
    parts = each_row(LearnedModel.forces, model, q, qd, qdd)
    return Torques(tau, predicted, parts)


def _torque_errors(forces: Torques) -> list[float | None]:
    return _listed(_rms(forces.predicted - forces.recorded))


def motions(
    model: LearnedModel, trajectories: TrajectorySet, controls: list[np.ndarray]
) -> list[Motion]:
    """Roll the model out from the start of each trajectory, under its control `(time, m)`."""
    starts = [State(jax.device_put(each.q[0]), _speed(each)[0]) for each in trajectories]
    paths = predicted_paths(model, starts, [control[:-1] for control in controls])
    return [
        _motion(model, trajectory, path)
        for trajectory, path in zip(trajectories, paths, strict=True)
    ]


def _state(q: Any, qd: Any) -> State:
    """Create a state of NumPy arrays."""
    return State(q, qd)


def _speed(trajectory: Trajectory) -> Array:
    assert trajectory.qd is not None
    # `jnp.asarray` would compile a copy for each shape.
    return jax.device_put(trajectory.qd)


def _motion(model: LearnedModel, trajectory: Trajectory, predicted: State) -> Motion:
    # In the precision of the model, as its predictions are.
    q, qd = (np.asarray(x) for x in (jax.device_put(trajectory.q), _speed(trajectory)))
    states, still = _state(q, qd), _state(q, np.zeros_like(qd))
    energy = kinetic = along = None
    if model.has_energy:
        energy, potential, along = (
            np.asarray(each_row(LearnedModel.energy, model, *each), np.float64)
            for each in (states, still, predicted)
        )
        kinetic = energy - potential
    return Motion(trajectory.t, states, predicted, energy, kinetic, along)


def rollout_errors(motions: list[Motion], coordinates: Coordinates, dt: float) -> Report:
    """Compute the root mean square error of rollouts by their horizon, per coordinate.

    Each horizon takes the trajectories that are long enough.

    **Arguments:** `dt`, seconds of a step.
    """
    longest = max(len(motion.t) for motion in motions) - 1
    horizons = sorted({min(h, longest) for h in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)})
    report: Report = {"horizon": [], "seconds": [], "trajectories": [], "q": [], "qd": []}
    for horizon in horizons:
        long = [motion for motion in motions if len(motion.t) > horizon]
        true, predicted = (
            _state(*(np.stack([x[horizon] for x in axis]) for axis in zip(*each, strict=True)))
            for each in ([m.states for m in long], [m.predicted for m in long])
        )
        report["horizon"].append(horizon)
        report["seconds"].append(horizon * dt)
        report["trajectories"].append(len(long))
        report["q"].append(_listed(_rms(_apart(coordinates, predicted.q, true.q))))
        report["qd"].append(_listed(_rms(predicted.qd - true.qd)))
    return report


def energy_drift(motions: list[Motion]) -> Report | None:
    """Compute the drift of the learned energy from its start, along data and rollouts.

    It is the root mean square over times and trajectories, divided by the largest learned
    kinetic energy in the data. A perfect model has a drift of 0 only where no force and no
    friction acts.

    **Returns:** that energy as `joules`, and the drifts as `data` and `rollout`; `None` if
    the model has no energy.
    """
    known = [motion for motion in motions if motion.energy is not None]
    if not known:
        return None
    joules = max(float(np.max(np.asarray(motion.kinetic))) for motion in known)
    drifts = {
        "data": [np.asarray(m.energy) - np.asarray(m.energy)[0] for m in known],
        "rollout": [
            np.asarray(m.predicted_energy) - np.asarray(m.predicted_energy)[0] for m in known
        ],
    }
    return {
        "joules": joules,
        **{
            name: finite(float(_rms(np.concatenate(each)) / joules))
            for name, each in drifts.items()
        },
    }


def _apart(coordinates: Coordinates, predicted: Any, true: Any) -> Array:
    difference = eqx.filter_jit(coordinates.difference)  # ten programs otherwise
    return difference(*jax.device_put((predicted, true)))


def _rms(x: Any) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.sqrt(np.mean(np.square(np.asarray(x)), axis=0)))


def _listed(x: np.ndarray) -> list[float | None]:
    """Convert to a list for JSON, which has no infinity and no NaN."""
    return [finite(float(value)) for value in x]


def finite(value: float) -> float | None:
    """Replace a value that is not finite by `None`."""
    return value if np.isfinite(value) else None
