"""Errors of models on unseen motions: torques, accelerations, rollouts, mass matrix."""

from collections.abc import Mapping

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
_SUBSTEPS = 5

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
    deviation; and `rollout` and `rollout_median`, errors after 0.2, 0.5 and 1 s over the
    distance moved, as of `relative_errors`.
    """
    rows = columns(unseen)
    with jax.enable_x64(True):
        arrays = [jnp.asarray(rows[name]) for name in ("q", "qd", "tau")]
        found = np.asarray(_accelerations(in_double(model), *arrays))
    steps = [round(seconds / dt) for seconds in (0.2, 0.5, 1.0)]
    starts = windows(unseen, steps[-1], steps[-1])
    predicted = rollouts(model, starts, dt)
    errors = np.array([relative_errors(predicted, starts["q"], step) for step in steps])
    return {
        "acceleration": np.sqrt(normalised_errors(found - rows["qdd"], rows["qdd"])),
        "rollout": errors[:, 0],
        "rollout_median": errors[:, 1],
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
) -> dict[str, Float[np.ndarray, "windows ..."]]:
    """Cut motions into windows of `length` steps, begun every `stride`.

    **Returns:** `q` and `qd`; and `tau`, shape `(windows, length, substeps, 3, n)`, at
    beginning, middle and end of each step of a rollout, from a cubic spline.
    """
    found: dict[str, list[np.ndarray]] = {"q": [], "qd": [], "tau": []}
    part = (np.arange(_SUBSTEPS)[:, None] + np.array([0, 0.5, 1])) / _SUBSTEPS
    for each in motions:
        t, tau = each.t, each.arrays["tau"]
        between = t[:-1, None, None] + np.diff(t)[:, None, None] * part
        forces = CubicSpline(t, tau)(between)
        for start in range(0, each.rows - length, stride):
            for name in ("q", "qd"):
                found[name].append(each.arrays[name][start : start + length + 1])
            found["tau"].append(forces[start : start + length])
    return {name: np.stack(arrays) for name, arrays in found.items()}


def rollouts(
    model: AbstractArmModel, starts: Mapping[str, Float[np.ndarray, "windows ..."]], dt: float
) -> Float[np.ndarray, "windows samples n"]:
    """Predict positions from the first state of each window.

    Torques are interpolated between samples by a cubic spline, and each sample is divided into
    steps of the classical Runge-Kutta method. Torques that were held or interpolated linearly
    would be an error by themselves: an arm that is driven without feedback is unstable, and
    such errors grow by a factor of 10,000 and more within a second.

    **Arguments:** `starts`, from `windows`.
    """
    with jax.enable_x64(True):
        q, qd, tau = (jnp.asarray(starts[name]) for name in ("q", "qd", "tau"))
        found = _rollouts(in_double(model), q[:, 0], qd[:, 0], tau, dt / _SUBSTEPS)
        return np.asarray(found)


def relative_errors(
    predicted: Float[np.ndarray, "windows samples n"],
    true: Float[np.ndarray, "windows samples n"],
    step: int,
) -> tuple[float, float]:
    """Compare the rollout error after a step with the distance moved, over all joints.

    **Returns:** the ratio of the root mean squares over windows, in which the most unstable
    windows count most; and the median of the windows' ratios.
    """
    error = np.sum((predicted[:, step] - true[:, step]) ** 2, axis=1)
    distance = np.sum((true[:, step] - true[:, 0]) ** 2, axis=1)
    whole = float(np.sqrt(np.mean(error) / np.mean(distance)))
    return whole, float(np.median(np.sqrt(error / distance)))


@eqx.filter_jit
def _rollouts(
    model: AbstractArmModel,
    q: Float[Array, "windows n"],
    qd: Float[Array, "windows n"],
    tau: Float[Array, "windows time substeps 3 n"],
    h: float,
) -> Float[Array, "windows samples n"]:
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
