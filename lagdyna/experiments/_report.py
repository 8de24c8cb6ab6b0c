"""How good a fitted model is, in numbers: errors, torques, energy, rollouts."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..data import Experience, Split, Trajectory, TrajectorySet
from ..learners import (
    LEVELS,
    AbstractPosterior,
    AbstractSquaredLoss,
    accelerations,
    calibrated,
    coverage,
)
from ..mechanics import Coordinates, Forces, State
from ._fit_data import Prepared, controls_of, experience_of
from ._fitted_model import FittedModel

Report = dict[str, Any]


class Motion(NamedTuple):
    """A trajectory at the model's step, and the model's rollout beside it, on the host.

    **Attributes:**

    - `t`: seconds, `(time,)`.
    - `states`, `predicted`: of the data and of the rollout, of shapes `(time, n)`.
    - `energy`, `kinetic`: the model's along the data, J, `(time,)`; `None` if it has none.
    - `predicted_energy`: the model's along the rollout, J, `(time,)`, or `None`.
    """

    t: np.ndarray
    states: State
    predicted: State
    energy: np.ndarray | None
    kinetic: np.ndarray | None
    predicted_energy: np.ndarray | None


class Torques(NamedTuple):
    """Recorded generalised forces, the model's, and the parts of the model's.

    **Attributes:** `recorded`, `predicted`, and each of `parts`: `(rows, n)`, N or N m.
    """

    recorded: np.ndarray
    predicted: np.ndarray
    parts: Forces


class Shown(NamedTuple):
    """What the pictures of a fit are made of: validation data and the model beside them.

    **Attributes:** `coordinates`; `motions`; `torques` at the times `t`, or `None`; and
    `rollout`, the errors of rollouts as the report has them.
    """

    coordinates: Coordinates
    motions: list[Motion]
    torques: Torques | None
    t: np.ndarray
    rollout: Report


def judge(model: FittedModel, data: Prepared) -> tuple[Report, Shown]:
    """What the report says of training and validation data, and what is drawn of the latter.

    Errors are root mean squares, one for each coordinate, in the units of the data.
    """
    report = {}
    moved: list[Motion] = []
    # Validation comes last, and so is what the pictures show.
    for name, raw, steps in zip(Split._fields, data.raw, data.steps, strict=True):
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
        report[name] = part
    first = data.raw.validation[0]
    forces = torques(model, [first]) if data.control == "tau" else None
    rollout = report["validation"]["rollout"]
    return report, Shown(data.coordinates, moved, forces, first.t, rollout)


def calibration_of(
    posterior: AbstractPosterior,
    loss: AbstractSquaredLoss,
    training: Any,
    fitted: Any,
    judged: Any,
) -> Report | None:
    """Which fraction of errors lies within the intervals that a posterior gives.

    **Arguments:** `training`, data that the noise of each output is found with; `fitted`,
    others, for the temperature and a factor of that noise; `judged`, others again, of
    which the coverage is told, with the temperature and without.

    **Returns:** `None` if nothing of this is finite.
    """
    posterior = eqx.filter_jit(lambda p, *data: p.with_noise_of(*data))(
        posterior, loss, training
    )
    warm = eqx.filter_jit(calibrated)(posterior, loss, fitted)
    errors = {
        name: eqx.filter_jit(each.standardised_errors)(loss, judged)
        for name, each in (("coverage", warm), ("coverage_untempered", posterior))
    }
    temperature = finite(float(warm.temperature))
    if temperature is None or not np.all(np.isfinite(np.asarray(warm.noise))):
        return None
    return {
        "temperature": temperature,
        "noise": jnp.asarray(warm.noise).tolist(),
        "levels": list(LEVELS),
        **{name: coverage(z).tolist() for name, z in errors.items()},
    }


def step_errors(model: FittedModel, steps: Experience) -> Report:
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


def torques(model: FittedModel, trajectories: list[Trajectory]) -> Torques | None:
    """The forces in every row of some trajectories.

    **Returns:** `None` where the data or the model have none.
    """
    recorded = [each.arrays for each in trajectories]
    if not {"qd", "qdd", "tau"} <= recorded[0].keys() or not model.has_lagrangian:
        return None
    q, qd, qdd, tau = (
        np.concatenate([arrays[name] for arrays in recorded])
        for name in ("q", "qd", "qdd", "tau")
    )
    arrays = [jnp.asarray(x) for x in (q, qd, qdd)]
    predicted = _rows(FittedModel.inverse_dynamics, model, *arrays)
    parts = _rows(FittedModel.forces, model, *arrays)
    return Torques(tau, np.asarray(predicted), jax.tree.map(np.asarray, parts))


def _torque_errors(forces: Torques) -> list[float | None]:
    return _listed(_rms(jnp.asarray(forces.predicted - forces.recorded)))


def motions(
    model: FittedModel, trajectories: TrajectorySet, controls: list[np.ndarray]
) -> list[Motion]:
    """The model's rollout from the start of each trajectory, under its control `(time, m)`."""
    return [
        _motion(model, trajectory, control)
        for trajectory, control in zip(trajectories, controls, strict=True)
    ]


def _motion(model: FittedModel, trajectory: Trajectory, control: np.ndarray) -> Motion:
    assert trajectory.qd is not None
    rows = trajectory.rows
    q, qd, actions = (jnp.asarray(_padded(x)) for x in (trajectory.q, trajectory.qd, control))
    states = State(q, qd)
    predicted = _rollout(model, State(q[0], qd[0]), actions[:-1])
    energy = kinetic = along = None
    if model.has_energy:
        at_rest = State(q, jnp.zeros_like(qd))
        energy, potential, along = (
            np.asarray(_rows(FittedModel.energy, model, *s)[:rows], np.float64)
            for s in (states, at_rest, predicted)
        )
        kinetic = energy - potential
    here, there = jax.tree.map(lambda x: np.asarray(x[:rows]), (states, predicted))
    return Motion(trajectory.t, here, there, energy, kinetic, along)


def _padded(x: np.ndarray) -> np.ndarray:
    """The rows up to the next power of two, the last but one repeated (an action's last may
    be nan). A program is compiled for each length, and trajectories have many.
    """
    wanted = 1 << (len(x) - 1).bit_length()
    return np.concatenate([x, np.repeat(x[-2:-1], wanted - len(x), axis=0)])


@eqx.filter_jit
def _rollout(model: FittedModel, start: State, actions: Float[Array, "time m"]) -> State:
    return model.rollout(start, actions)


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
