"""Random motions of simulated arms, with what drives them."""

from typing import Literal, NamedTuple, TypeVar, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Scalar

from ...data import Trajectory, TrajectorySet
from ...systems import RobotModel

Variant = Literal["exact", "friction", "payload"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)
DT = 0.01

# Motions stay within these angles, and use this part of the range between limits.
_WIDEST, _USED = 2.8, 0.9
# Harmonics of a motion, and the frequency of the first, Hz.
_HARMONICS, _FREQUENCY = 5, 0.05
# Standard deviation of a link's log-Cholesky parameters of mass and size about those of the
# description. Mass is twice the first in its logarithm.
_WRONG = 0.15
# Coulomb and viscous friction at the root mean square speed, as parts of the torque's.
_COULOMB, _VISCOUS, _WIDTH = 0.1, 0.05, 0.02
# Noise of torques, of their standard deviation, and of encoders, rad.
_TORQUE_NOISE, _ENCODER_NOISE = 0.01, 1e-4
# Stiffness of the cable, N/m, and where it is fixed, m.
_STIFFNESS, _ANCHOR = 40.0, (0.3, 0.3, 0.8)

Model = TypeVar("Model")


class Motions(NamedTuple):
    """Motions of an arm and its torques.

    **Attributes:** `training`, as recorded; `unseen`, other motions, without noise.
    """

    training: TrajectorySet
    unseen: TrajectorySet


def in_double(model: Model) -> Model:
    """Convert a model to double precision, under `jax.enable_x64`."""
    return jax.tree.map(
        lambda x: jnp.asarray(x, float) if eqx.is_inexact_array(x) else x, model
    )


def true_robot(described: RobotModel, seed: int) -> RobotModel:
    """Make the robot that is simulated: its links differ from those of the description.

    Masses differ by 30 % (standard deviation of the logarithm), and moments of inertia too.
    """
    size = described.inertia[:, :4].shape
    change = np.random.default_rng([seed, 2]).normal(size=size) * _WRONG
    inertia = described.inertia.at[:, :4].add(jnp.asarray(change, described.inertia.dtype))
    return eqx.tree_at(lambda x: x.inertia, described, inertia)


def simulated(
    described: RobotModel,
    variant: Variant,
    seed: int,
    counts: tuple[int, int],
    seconds: float,
    names: tuple[str, ...],
) -> Motions:
    """Simulate motions of the true robot.

    **Arguments:**

    - `described`: the robot of the description.
    - `variant`: `exact`; `friction`, with noise and without recorded velocities; or `payload`,
        with a cable that no model knows.
    - `counts`: number of training and of unseen motions; `seconds`, of each.
    - `names`: of the joints.
    """
    robot = true_robot(described, seed)
    with jax.enable_x64(True):
        robot = in_double(robot)
    rng = np.random.default_rng([seed, 0])
    kinds = [motion(described, rng, seconds) for _ in range(sum(counts))]
    with jax.enable_x64(True):
        tau = [np.asarray(_torques(robot, *map(jnp.asarray, each))) for each in kinds]
    everything = np.concatenate(tau)
    size = np.sqrt(np.mean(everything**2, axis=0))
    speed = np.sqrt(np.mean(np.concatenate([qd for _, qd, _ in kinds]) ** 2, axis=0))
    if variant == "friction":
        tau = [
            x + size * (_COULOMB * np.tanh(qd / _WIDTH) + _VISCOUS * qd / speed)
            for x, (_, qd, _) in zip(tau, kinds, strict=True)
        ]
    if variant == "payload":
        with jax.enable_x64(True):
            pulled = [np.asarray(_cable(robot, jnp.asarray(q))) for q, _, _ in kinds]
        tau = [x + y for x, y in zip(tau, pulled, strict=True)]
    t = DT * np.arange(len(tau[0]))
    made = [
        Trajectory(t, q, qd, qdd, force, joints=names)
        for (q, qd, qdd), force in zip(kinds, tau, strict=True)
    ]
    training = made[: counts[0]]
    if variant == "friction":
        deviation = np.std(everything, axis=0)
        noise = np.random.default_rng([seed, 1])
        training = [_measured(each, deviation, noise) for each in training]
    return Motions(TrajectorySet(training), TrajectorySet(made[counts[0] :]))


def _measured(
    exact: Trajectory, deviation: Float[np.ndarray, " n"], rng: np.random.Generator
) -> Trajectory:
    """Add noise to positions and torques, and leave out the rest."""
    assert exact.tau is not None
    q = exact.q + _ENCODER_NOISE * rng.normal(size=exact.q.shape)
    tau = exact.tau + _TORQUE_NOISE * deviation * rng.normal(size=exact.q.shape)
    return Trajectory(exact.t, q, tau=tau, joints=exact.joints)


def motion(
    robot: RobotModel, rng: np.random.Generator, seconds: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw a smooth motion within the joint limits, a Fourier series of each joint.

    **Returns:** positions, velocities and accelerations, shape `(time, n)`.
    """
    assert robot.description is not None
    links = robot.description.links
    lower = np.array([max(link.lower, -_WIDEST) for link in links])
    upper = np.array([min(link.upper, _WIDEST) for link in links])
    t = DT * np.arange(round(seconds / DT))
    harmonics = np.arange(1, _HARMONICS + 1)
    shape = (_HARMONICS, len(links))
    w = 2 * np.pi * _FREQUENCY * harmonics[:, None] * rng.uniform(0.8, 1.2, shape)
    a, b = rng.normal(size=(2, *shape)) / harmonics[:, None]
    phase = t[:, None, None] * w
    sine, cosine = np.sin(phase), np.cos(phase)
    q = np.sum(a * sine + b * cosine, axis=1)
    qd = np.sum(w * (a * cosine - b * sine), axis=1)
    qdd = -np.sum(w**2 * (a * sine + b * cosine), axis=1)
    size = _USED * (upper - lower) / 2 / np.max(np.abs(q), axis=0)
    return (upper + lower) / 2 + size * q, size * qd, size * qdd


@eqx.filter_jit
def _torques(robot: RobotModel, q: Array, qd: Array, qdd: Array) -> Float[Array, "time n"]:
    return jax.vmap(robot.inverse_dynamics)(q, qd, qdd)


@eqx.filter_jit
def _cable(robot: RobotModel, q: Array) -> Float[Array, "time n"]:
    """Compute the torques that hold against an elastic cable at the last link."""

    def energy(q: Float[Array, " n"]) -> Scalar:
        _, positions = robot.link_poses(q)
        stretched = positions[-1] - jnp.asarray(_ANCHOR, q.dtype)
        return 0.5 * _STIFFNESS * jnp.sum(stretched**2)

    return jax.vmap(jax.grad(energy))(q)
