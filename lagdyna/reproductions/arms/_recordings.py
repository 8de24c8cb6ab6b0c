"""Recordings of real machines: a UR10 and a double pendulum."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy import signal

from ...data import Trajectory, TrajectorySet, read
from ...mechanics import (
    Coordinates,
    CoulombDissipation,
    FixedActuation,
    MechanicalSystem,
    SumDissipation,
    ViscousDissipation,
)
from ...systems import PlanarChain
from .._reproduction import PartProgress, Result
from ._fits import config, fit_or_resume, keep_recordings, solve
from ._robots import UR10, recording
from ._scores import rollouts, torque_errors, windows

UR10_MODELS = (
    "least-squares",
    "robot",
    "robot-curve",
    "robot-residual",
    "delan-structure",
    "delan",
)
PENDULUM_MODELS = ("known", "delan")

# Recordings of the double pendulum that test, the others train.
_UNSEEN = (2, 4)


def ur10_rows(path: Path) -> tuple[TrajectorySet, TrajectorySet]:
    """Prepare the recording of the UR10.

    It is resampled to its median step and filtered without phase by a Butterworth filter of
    fourth order and 10 Hz. Velocities and accelerations are central differences; 0.3 s at both
    ends are left out.

    **Returns:** the first 70 %, which train, and the rest.
    """
    found = read(path)[0]
    assert found.tau is not None
    dt = float(np.median(np.diff(found.t)))
    t = np.arange(found.t[0], found.t[-1], dt)
    q, tau = (_filtered(t, found.t, x, 10.0) for x in (found.q, found.tau))
    qd = np.gradient(q, dt, axis=0)
    qdd = np.gradient(qd, dt, axis=0)
    cut = round(0.3 / dt)
    arrays = [x[cut:-cut] for x in (t, q, qd, qdd, tau)]
    split = round(0.7 * len(arrays[0]))
    parts = ([x[:split] for x in arrays], [x[split:] for x in arrays])
    first, rest = (TrajectorySet([Trajectory(*part, joints=found.joints)]) for part in parts)
    return first, rest


def _filtered(
    t: Float[np.ndarray, " time"],
    recorded: Float[np.ndarray, " rows"],
    x: Float[np.ndarray, "rows n"],
    frequency: float,
) -> Float[np.ndarray, "time n"]:
    """Interpolate at equal steps, and filter without phase."""
    even = np.stack([np.interp(t, recorded, column) for column in x.T], axis=1)
    sections = signal.butter(4, frequency, fs=1 / (t[1] - t[0]), output="sos")
    return signal.sosfiltfilt(np.asarray(sections), even, axis=0)


def make_ur10_part(
    model: str, seed: int, updates: int | None, directory: Path, progress: PartProgress
) -> Result:
    """Make a part of the UR10's recording: torques of the last 30 %.

    **Arguments:** `updates`, of Adam for the DeLaN without a description; `None` for its usual
    learner.
    """
    training, unseen = ur10_rows(recording("ur10"))
    file = keep_recordings(directory, training)
    if model == "delan":
        options = {"model": {"dissipation": "both"}}
        made = config(model, file, updates, seed=seed, options=options)
    else:
        curve = {"model": {"dissipation": "curve"}} if model == "robot-residual" else {}
        options = {"signals": {"offset": True}, **curve}
        made = config(model, file, None, seed=seed, arm=UR10, options=options)
    if model == "least-squares":
        fitted, seconds = solve(made)
    else:
        fitted, seconds = fit_or_resume(made, directory, progress)
    return {**torque_errors(fitted, unseen), "seconds": np.asarray(seconds)}


def double_pendulum() -> MechanicalSystem:
    """Construct the double pendulum with what can be measured by hand: two links, gravity."""
    chain = PlanarChain(
        mass=jnp.full(2, 0.6),
        length=jnp.asarray([0.2, 0.3]),
        centre=jnp.full(2, 0.9),
        inertia=jnp.full(2, 0.01),
        gravity=jnp.asarray(-9.81),
    )
    small = jnp.full(2, 0.01)
    friction = SumDissipation((ViscousDissipation(small), CoulombDissipation(small, 0.05)))
    motors = FixedActuation(((1.0, 0.0), (0.0, 1.0)))
    return MechanicalSystem(chain, Coordinates((True, True)), motors, friction)


def pendulum_motions(path: Path) -> tuple[TrajectorySet, TrajectorySet]:
    """Prepare the recordings of the double pendulum.

    **Returns:** those that train, as recorded; and those that test, interpolated at steps of
    2 ms, filtered without phase by a Butterworth filter of fourth order and 15 Hz, every second
    row.
    """
    training, unseen = [], []
    for i, each in enumerate(read(path)):
        if i not in _UNSEEN:
            training.append(each)
            continue
        assert each.qd is not None
        assert each.tau is not None
        t = np.arange(each.t[0], each.t[-1], 0.002)
        q, qd, tau = (_filtered(t, each.t, x, 15.0)[::2] for x in (each.q, each.qd, each.tau))
        unseen.append(Trajectory(t[::2], q, qd, tau=tau, joints=each.joints))
    return TrajectorySet(training), TrajectorySet(unseen)


def make_pendulum_part(
    model: str, seed: int, updates: int, directory: Path, progress: PartProgress
) -> Result:
    """Make a part of the double pendulum's recordings: prediction of two of them."""
    training, unseen = pendulum_motions(recording("double_pendulum"))
    file = keep_recordings(directory, training)
    if model == "known":
        fixed = {"model": {"fixed": ("gravity", "length")}}
        made = config("known", file, None, seed=seed, loss="multi-step", options=fixed)
        fitted, seconds = fit_or_resume(made, directory, progress, double_pendulum())
    else:
        options = {
            "model": {"dissipation": "both", "structure": "chain"},
            "learner": {"name": "adam", "rate": 0.01, "updates": updates},
        }
        made = config(model, file, None, seed=seed, loss="multi-step", options=options)
        fitted, seconds = fit_or_resume(made, directory, progress)
    starts = windows(unseen, 125, 60)
    error = rollouts(fitted, starts, 0.004) - starts["q"]
    after = [np.sqrt(np.mean(error[:, step] ** 2, axis=0)) for step in (25, 50, 125)]
    return {"rollout": np.stack(after), "seconds": np.asarray(seconds)}
