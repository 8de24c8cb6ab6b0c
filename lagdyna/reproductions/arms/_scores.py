"""Errors of models on unseen motions: torques, accelerations, rollouts, mass matrix."""

from collections.abc import Mapping, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...data import TrajectorySet
from ...systems import RobotModel
from ._models import AbstractArmModel

# Steps of a rollout between two samples.
_SUBSTEPS = 2

# Rows at which mass matrices are compared.
_ROWS = 200


def normalised_errors(
    wrong: Float[np.ndarray, "rows n"], true: Float[np.ndarray, "rows n"]
) -> Float[np.ndarray, " n"]:
    """Compute the mean squared error of each column over its variance."""
    return np.mean(wrong**2, axis=0) / np.var(true, axis=0)


def columns(motions: TrajectorySet) -> dict[str, Float[np.ndarray, "rows n"]]:
    """Join the recorded arrays of motions."""
    names = ("q", "qd", "qdd", "tau")
    found = {name: [each.arrays[name] for each in motions] for name in names}
    return {name: np.concatenate(arrays) for name, arrays in found.items()}


def torque_errors(
    model: AbstractArmModel, unseen: TrajectorySet
) -> Mapping[str, Float[np.ndarray, "..."]]:
    """Compute torques on unseen motions.

    **Returns:** `torque_nmse`, of each joint; and torques along the first motion,
    `shown_predicted` and `shown_tau`.
    """
    rows = columns(unseen)
    arrays = [jnp.asarray(rows[name], float) for name in ("q", "qd", "qdd")]
    predicted = np.asarray(_torques(model, *arrays), np.float64)
    first = unseen[0].rows
    return {
        "torque_nmse": normalised_errors(predicted - rows["tau"], rows["tau"]),
        "shown_predicted": predicted[:first],
        "shown_tau": rows["tau"][:first],
    }


def motion_errors(
    model: AbstractArmModel, unseen: TrajectorySet, dt: float
) -> Mapping[str, Float[np.ndarray, "..."]]:
    """Compute accelerations and rollouts on unseen motions.

    **Returns:** `acceleration`, root mean square error of each joint over its standard
    deviation; and `rollout`, after 0.2, 0.5 and 1 s, the root mean square error of all
    joints over the distance that they moved.
    """
    rows = columns(unseen)
    arrays = [jnp.asarray(rows[name], float) for name in ("q", "qd", "tau")]
    found = np.asarray(_accelerations(model, *arrays), np.float64)
    steps = [round(seconds / dt) for seconds in (0.2, 0.5, 1.0)]
    starts = windows(unseen, steps[-1], steps[-1])
    return {
        "acceleration": np.sqrt(normalised_errors(found - rows["qdd"], rows["qdd"])),
        "rollout": rollout_errors(model, starts, steps, dt, moved=True),
    }


def mass_errors(
    model: AbstractArmModel, robot: RobotModel, unseen: TrajectorySet
) -> Float[np.ndarray, ""]:
    """Compute how far the mass matrix is from the true one, relative to it (Frobenius)."""
    q = columns(unseen)["q"]
    q = jnp.asarray(q[:: max(1, len(q) // _ROWS)], float)
    true = np.asarray(_true_mass(robot, q), np.float64)
    error = np.asarray(_mass(model, q), np.float64) - true
    return np.sqrt(np.sum(error**2) / np.sum(true**2))


def windows(
    motions: TrajectorySet, length: int, stride: int
) -> dict[str, Float[np.ndarray, "windows time n"]]:
    """Cut motions into windows of `length` steps, begun every `stride`."""
    found = {}
    for name in ("q", "qd", "tau"):
        found[name] = np.stack(
            [
                each.arrays[name][start : start + length + 1]
                for each in motions
                for start in range(0, each.rows - length, stride)
            ]
        )
    return found


def rollout_errors(
    model: AbstractArmModel,
    starts: Mapping[str, Float[np.ndarray, "windows time n"]],
    steps: Sequence[int],
    dt: float,
    *,
    moved: bool,
) -> Float[np.ndarray, "..."]:
    """Compute root mean square errors of rollouts after some steps.

    Torques are interpolated linearly between samples, and each sample is divided into steps
    of the classical Runge-Kutta method. A torque that is held between samples of a motion that
    it did not drive so would be an error by itself, as large as that of a good model.

    **Arguments:** `starts`, from `windows`; `moved`, whether to give one error of all joints
    over the distance that they moved, else one of each joint, in rad.
    """
    q, qd, tau = (jnp.asarray(starts[name], float) for name in ("q", "qd", "tau"))
    predicted = np.asarray(_rollouts(model, q[:, 0], qd[:, 0], tau, dt), np.float64)
    errors = [predicted[:, k] - starts["q"][:, k] for k in steps]
    if not moved:
        return np.stack([np.sqrt(np.mean(each**2, axis=0)) for each in errors])
    distances = [starts["q"][:, k] - starts["q"][:, 0] for k in steps]
    pairs = zip(errors, distances, strict=True)
    return np.array([np.sqrt(np.mean(error**2) / np.mean(d**2)) for error, d in pairs])


@eqx.filter_jit
def _rollouts(
    model: AbstractArmModel,
    q: Float[Array, "windows n"],
    qd: Float[Array, "windows n"],
    tau: Float[Array, "windows time n"],
    dt: float,
) -> Float[Array, "windows time n"]:
    h = dt / _SUBSTEPS

    def field(state: tuple[Array, Array], force: Array) -> tuple[Array, Array]:
        return state[1], model.acceleration(*state, force)

    def moved(state: tuple[Array, Array], slope: tuple[Array, Array], by: float):
        return state[0] + by * slope[0], state[1] + by * slope[1]

    def one(q: Array, qd: Array, tau: Array) -> Array:
        def step(
            state: tuple[Array, Array], forces: tuple[Array, Array]
        ) -> tuple[tuple[Array, Array], None]:
            begin, end = forces
            middle = (begin + end) / 2
            first = field(state, begin)
            second = field(moved(state, first, h / 2), middle)
            third = field(moved(state, second, h / 2), middle)
            last = field(moved(state, third, h), end)
            for slope, weight in ((first, 1), (second, 2), (third, 2), (last, 1)):
                state = moved(state, slope, h * weight / 6)
            return state, None

        def sample(state: tuple[Array, Array], ends: tuple[Array, Array]):
            part = jnp.linspace(0, 1, _SUBSTEPS + 1, dtype=tau.dtype)[:, None]
            force = ends[0] + part * (ends[1] - ends[0])
            state, _ = jax.lax.scan(step, state, (force[:-1], force[1:]))
            return state, state[0]

        _, path = jax.lax.scan(sample, (q, qd), (tau[:-1], tau[1:]))
        return jnp.concatenate([q[None], path])

    return jax.vmap(one)(q, qd, tau)


@eqx.filter_jit
def _torques(model: AbstractArmModel, q: Array, qd: Array, qdd: Array) -> Array:
    # Some rows at a time: the regressor of all at once would not fit into caches.
    return jax.lax.map(lambda row: model.torque(*row), (q, qd, qdd), batch_size=500)


@eqx.filter_jit
def _accelerations(model: AbstractArmModel, q: Array, qd: Array, tau: Array) -> Array:
    return jax.lax.map(lambda row: model.acceleration(*row), (q, qd, tau), batch_size=500)


@eqx.filter_jit
def _mass(model: AbstractArmModel, q: Array) -> Array:
    return jax.vmap(model.mass_matrix)(q)


@eqx.filter_jit
def _true_mass(robot: RobotModel, q: Array) -> Array:
    return jax.vmap(robot.mass_matrix)(q, jnp.zeros_like(q))
