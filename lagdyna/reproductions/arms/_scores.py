"""Errors of models on unseen motions: torques, accelerations, rollouts, mass matrix."""

from collections.abc import Mapping, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.interpolate import CubicSpline

from ...data import TrajectorySet
from ...systems import RobotModel
from ._models import AbstractArmModel, TrueModel
from ._motions import in_double

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
    with jax.enable_x64(True):
        arrays = [jnp.asarray(rows[name]) for name in ("q", "qd", "qdd")]
        predicted = np.asarray(_torques(in_double(model), *arrays))
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
    with jax.enable_x64(True):
        arrays = [jnp.asarray(rows[name]) for name in ("q", "qd", "tau")]
        found = np.asarray(_accelerations(in_double(model), *arrays))
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
    with jax.enable_x64(True):
        q = jnp.asarray(q[:: max(1, len(q) // _ROWS)])
        true = np.asarray(_mass(in_double(TrueModel(robot)), q))
        error = np.asarray(_mass(in_double(model), q)) - true
    return np.asarray(np.sqrt(np.sum(error**2) / np.sum(true**2)))


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

    Torques are interpolated between samples by a cubic spline, and each sample is divided into
    steps of the classical Runge-Kutta method. Torques that were held or interpolated linearly
    would be an error by themselves: an arm that is driven without feedback is unstable, and
    such errors grow by the factor 10,000 within a second.

    **Arguments:** `starts`, from `windows`; `moved`, whether to give one error of all joints
    over the distance that they moved, else one of each joint, in rad.
    """
    length = starts["q"].shape[1]
    t = np.arange(length, dtype=float)
    part = np.arange(_SUBSTEPS)[:, None] / _SUBSTEPS + np.array([0, 0.5, 1]) / _SUBSTEPS
    spline = CubicSpline(t, starts["tau"], axis=1)
    tau = spline(t[:-1, None, None] + part)
    with jax.enable_x64(True):
        found = _rollouts(
            in_double(model),
            jnp.asarray(starts["q"][:, 0]),
            jnp.asarray(starts["qd"][:, 0]),
            jnp.asarray(tau),
            dt / _SUBSTEPS,
        )
        predicted = np.asarray(found)
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
    tau: Float[Array, "windows time substeps 3 n"],
    h: float,
) -> Float[Array, "windows time n"]:
    # Stages are a loop, so that the dynamics are compiled once and not four times.
    before = jnp.asarray([0.0, 0.5, 0.5, 1.0], q.dtype)
    weights = jnp.asarray([1.0, 2.0, 2.0, 1.0], q.dtype) / 6

    def one(q: Array, qd: Array, tau: Array) -> Array:
        def step(state: Array, forces: Array) -> tuple[Array, None]:
            def stage(carry: tuple[Array, Array], now: tuple[Array, Array, Array]):
                slope, total = carry
                ahead, weight, force = now
                here = state + h * ahead * slope
                slope = jnp.stack([here[1], model.acceleration(here[0], here[1], force)])
                return (slope, total + weight * slope), None

            still = jnp.zeros_like(state)
            stages = (before, weights, forces[jnp.asarray([0, 1, 1, 2])])
            (_, total), _ = jax.lax.scan(stage, (still, still), stages)
            return state + h * total, None

        def sample(state: Array, forces: Array) -> tuple[Array, Array]:
            state, _ = jax.lax.scan(step, state, forces)
            return state, state[0]

        _, path = jax.lax.scan(sample, jnp.stack([q, qd]), tau)
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
