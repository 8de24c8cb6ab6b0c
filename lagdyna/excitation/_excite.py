"""Optimal excitation of a robot."""

from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.linalg import qr
from scipy.optimize import minimize

from .._errors import UserError
from ..data import Trajectory
from ..systems import RigidBodies, RobotModel
from ._fourier import FourierMotion, JointLimits, motion_of

# Samples of a motion at which information and limits are computed while it is optimised.
_SAMPLES = 120

# Random states that tell which parameters have an effect of their own.
_STATES = 200

# Relative part of a column that is no combination of others, below which it has no effect.
_NO_EFFECT = 1e-7

_ITERATIONS = 60
_PRIOR = 1e-14
_TORQUE_PENALTY = 1e3

# Logit of the amplitude of random motions, which are near the limits as by hand.
_NEAR_LIMIT = 2.0

# Range and speed of a joint without limits: rad and rad/s, or m and m/s.
_UNLIMITED = {False: (np.pi, np.pi), True: (0.5, 0.5)}

# Speed below which the model of Coulomb friction is smooth, rad/s or m/s.
_REST = 0.05


class Excitation(NamedTuple):
    """Joint motion that tells much about a robot's parameters.

    **Attributes:**

    - `trajectory`: times, positions, velocities and accelerations, with the joints' names.
    - `motion`: the Fourier series that it samples.
    - `condition`: condition number of the regressor of the base parameters, with columns
        scaled to unit norm.
    - `random_condition`: the median of those of random motions within the same limits.
    - `information`: mean gain in information over these motions, in nats per base parameter:
        0.69 halves each standard deviation.
    - `base_parameters`: number of combinations of parameters that have an effect.
    - `position_share`, `velocity_share`, `torque_share`: parts of the limits that are used,
        shape `(n,)`; torques are those of the description, NaN without a limit.
    - `limits`: limits of the joints, those that were assumed included.
    - `notes`: sentences about missing limits and torques.
    """

    trajectory: Trajectory
    motion: FourierMotion
    condition: float
    random_condition: float
    information: float
    base_parameters: int
    position_share: Float[np.ndarray, " n"]
    velocity_share: Float[np.ndarray, " n"]
    torque_share: Float[np.ndarray, " n"]
    limits: JointLimits
    notes: tuple[str, ...]


def excite(
    robot: RobotModel,
    *,
    seconds: float = 10.0,
    rate: float = 100.0,
    harmonics: int = 5,
    share: float = 0.9,
    restarts: int = 3,
    seed: int = 0,
) -> Excitation:
    """Find the joint motion that makes the posterior of the base parameters smallest.

    It minimises the logarithm of the posterior's volume (D-optimal design; Swevers et al. 1997)
    and of the mean factor by which correlation inflates the variance of a parameter, so that no
    combination is left badly determined. The motions are truncated Fourier series; L-BFGS
    finds them from several random starts, with gradients through the regressor.

    The regressor has columns for inertia, rotors, viscous and Coulomb friction and offsets.
    Torque errors are weighed by the size of each joint's torques. Positions and velocities
    stay within the limits by construction. A penalty keeps the torques that the description
    predicts within theirs. Collisions are not checked.

    **Arguments:**

    - `robot`: a robot with its description.
    - `seconds`: period of the series. The motion can be repeated.
    - `rate`: samples per second.
    - `harmonics`: number of frequencies, multiples of `1 / seconds`; at least 2.
    - `share`: part of the limits that may be used.
    - `restarts`: number of random starts.
    - `seed`: seed of the starts.

    **Raises:** `UserError` for other values, or a robot without a description.
    """
    _check(robot, seconds, rate, harmonics, share, restarts)
    # Small singular values tell parameters without effect from rounding in float64 only.
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda x: jnp.asarray(np.asarray(x), jnp.float64), robot)
        return _excite(wide, seconds, rate, harmonics, share, restarts, seed)


def _check(
    robot: RobotModel, seconds: float, rate: float, harmonics: int, share: float, restarts: int
) -> None:
    if robot.description is None:
        raise UserError("`robot` has no description, whose limits a motion needs")
    for name, value in (("seconds", seconds), ("rate", rate)):
        if not (0 < value < np.inf):
            raise UserError(f"`{name}` was {value:g}; a positive number is accepted")
    if harmonics < 2:
        raise UserError(f"`harmonics` was {harmonics}; at least 2 are needed to start at rest")
    if harmonics > 30:
        raise UserError(f"`harmonics` was {harmonics}; at most 30 are accepted")
    if not 0 < share <= 1:
        raise UserError(f"`share` was {share:g}; a number above 0 and at most 1 is accepted")
    if restarts < 1:
        raise UserError(f"`restarts` was {restarts}; at least 1 is accepted")
    if rate < 4 * harmonics / seconds:
        raise UserError(
            f"`rate` was {rate:g} samples a second, too few for {harmonics} harmonics of "
            f"{seconds:g} s; at least {4 * harmonics / seconds:g} are accepted"
        )
    if seconds * rate > 1e6:
        raise UserError(
            f"{seconds:g} s at {rate:g} samples a second are {seconds * rate:.3g} rows; at "
            "most 1,000,000 are accepted"
        )


def _limits_of(robot: RobotModel) -> tuple[JointLimits, list[str]]:
    """Read the limits of the joints, and describe those that are missing."""
    assert robot.description is not None
    lower, upper, velocity, notes = [], [], [], []
    for link in robot.description.links:
        half, speed = _UNLIMITED[link.slides]
        unit = "m" if link.slides else "rad"
        middle = 0.5 * (link.lower + link.upper)
        if np.isfinite(middle) and link.upper > link.lower:
            half = 0.5 * (link.upper - link.lower)
        else:
            middle = 0.0
            notes.append(f"joint {link.joint} has no limits of position: ±{half:.3g} {unit}")
        if 0 < link.velocity < np.inf:
            speed = link.velocity
        else:
            notes.append(f"joint {link.joint} has no limit of speed: {speed:.3g} {unit}/s")
        lower.append(middle - half)
        upper.append(middle + half)
        velocity.append(speed)
    return JointLimits(np.asarray(lower), np.asarray(upper), np.asarray(velocity)), notes


def _force(
    robot: RobotModel,
    parameters: Float[Array, " columns"],
    q: Float[Array, " n"],
    qd: Float[Array, " n"],
    qdd: Float[Array, " n"],
) -> Float[Array, " n"]:
    """Compute joint forces, which are linear in the parameters.

    Parameters are ten numbers a link, then rotors, viscous and Coulomb friction, and offsets of
    all joints.
    """
    n = robot.tree.links
    order = np.asarray([[4, 7, 8], [7, 5, 9], [8, 9, 6]])
    x = parameters[: 10 * n].reshape(n, 10)
    bodies = RigidBodies(x[:, 0], x[:, 1:4], x[:, order])
    rotor, viscous, coulomb, offset = parameters[10 * n :].reshape(4, n)
    friction = viscous * qd + coulomb * jnp.tanh(qd / _REST) + offset
    return robot.link_forces(bodies, q, qd, qdd) + rotor * qdd + friction


def excitation_regressor(
    robot: RobotModel, q: Float[Array, " n"], qd: Float[Array, " n"], qdd: Float[Array, " n"]
) -> Float[Array, "n columns"]:
    """Compute the factor of each linear parameter in each joint's force."""
    zeros = jnp.zeros(14 * robot.tree.links, q.dtype)
    return jax.jacrev(lambda x: _force(robot, x, q, qd, qdd))(zeros)


def _excite(
    robot: RobotModel,
    seconds: float,
    rate: float,
    harmonics: int,
    share: float,
    restarts: int,
    seed: int,
) -> Excitation:
    assert robot.description is not None
    links = robot.description.links
    n, rng = len(links), np.random.default_rng(seed)
    limits, notes = _limits_of(robot)
    ranges = limits.shrunk(share)
    effort = np.asarray([x.effort if x.effort > 0 else np.inf for x in links])
    rows = jax.vmap(lambda *state: excitation_regressor(robot, *state))
    torques = jax.vmap(robot.inverse_dynamics)

    # Which combinations of parameters have an effect, and how large torques usually are.
    position = rng.uniform(ranges.lower, ranges.upper, (_STATES, n))
    speed = rng.uniform(-1, 1, (_STATES, n)) * ranges.velocity
    acceleration = rng.normal(size=(_STATES, n)) * ranges.velocity * 2 * np.pi / seconds
    states = tuple(map(jnp.asarray, (position, speed, acceleration)))
    matrix = np.asarray(jax.jit(rows)(*states))
    usual = np.sqrt(np.mean(np.asarray(jax.jit(torques)(*states)) ** 2, axis=0))
    scale = np.maximum(usual, 1e-6 * usual.max() + np.finfo(float).tiny)
    matrix = (matrix / scale[:, None]).reshape(_STATES * n, -1)
    size = np.linalg.norm(matrix, axis=0)
    size = np.where(size > 0, size, 1.0)
    # Base parameters: columns that no others replace (Gautier 1991).
    factor, order = cast(
        tuple[np.ndarray, np.ndarray], qr(matrix / size, mode="r", pivoting=True)
    )
    diagonal = np.abs(np.diag(factor))
    base = np.sort(order[: len(diagonal)][diagonal > _NO_EFFECT * diagonal[0]])
    unit = scale[:, None] * size[base] * np.sqrt(_SAMPLES)

    grid = jnp.linspace(0.0, seconds, _SAMPLES, endpoint=False)

    def states_of(free: Float[Array, "n numbers"]) -> tuple[Array, Array, Array]:
        return motion_of(free, ranges, seconds, grid)(grid)

    def regressor(free: Float[Array, "n numbers"]) -> Float[Array, "rows base"]:
        return (rows(*states_of(free))[..., base] / unit).reshape(-1, len(base))

    def posterior_size(matrix: Float[Array, "rows base"]) -> tuple[Array, Array]:
        # A tiny prior keeps the determinant of poor motions positive.
        gram = matrix.T @ matrix + _PRIOR * jnp.eye(len(base))
        nats = 0.5 * jnp.linalg.slogdet(gram)[1] / len(base)
        inflation = jnp.mean(jnp.diag(jnp.linalg.inv(gram)) * jnp.diag(gram))
        return 0.5 * jnp.log(inflation) - nats, nats

    def linear(free: Float[Array, "n numbers"], weights: Float[Array, "rows base"]) -> Array:
        # Weighted sum of the regressor's entries: forces whose parameters are the weights. It
        # needs no derivative of the regressor itself.
        columns = jnp.zeros((_SAMPLES, n, 14 * n))
        columns = columns.at[..., base].set(weights.reshape(_SAMPLES, n, -1) / unit)
        each = jax.vmap(lambda x, *state: _force(robot, x, *state), (0, None, None, None))
        forces = jax.vmap(each)(columns, *states_of(free))
        return jnp.sum(jnp.diagonal(forces, axis1=1, axis2=2))

    def penalty(free: Float[Array, "n numbers"]) -> Array:
        over = jax.nn.relu(jnp.abs(torques(*states_of(free))) / (share * effort) - 1)
        return _TORQUE_PENALTY * jnp.mean(over**2)

    @jax.jit
    def loss(x: Float[Array, " numbers"]) -> tuple[Array, Array, Array, Array]:
        free = x.reshape(n, -1)
        matrix = regressor(free)
        (size, nats), weights = jax.value_and_grad(posterior_size, has_aux=True)(matrix)
        value, slope = jax.value_and_grad(penalty)(free)
        slope = slope + jax.grad(linear)(free, weights)
        return value + size, slope.ravel(), nats, matrix

    def value_and_slope(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope, *_ = loss(jnp.asarray(x))
        return float(value), np.asarray(slope)

    starts = rng.normal(size=(restarts, n, 2 * harmonics + 2))
    starts[..., -2] = _NEAR_LIMIT
    starts = starts.reshape(restarts, -1)
    found = [
        minimize(
            value_and_slope, x, jac=True, method="L-BFGS-B", options={"maxiter": _ITERATIONS}
        )
        for x in starts
    ]
    best = min(found, key=lambda each: each.fun).x

    *_, nats, matrices = zip(*(loss(jnp.asarray(x)) for x in (best, *starts)), strict=True)
    conditions = [_condition(np.asarray(x)) for x in matrices]

    times = np.arange(round(seconds * rate) + 1) / rate

    @jax.jit
    def sampled(free: Float[Array, "n numbers"]) -> tuple[FourierMotion, tuple[Array, ...]]:
        # Limits hold at every sample, and between them, since the fine grid is dense.
        t = jnp.asarray(times)
        fine = jnp.concatenate([t, jnp.linspace(0, seconds, 200 * harmonics)])
        motion = motion_of(free, ranges, seconds, fine)
        state = motion(t)
        return motion, (*state, jnp.max(jnp.abs(torques(*state)), axis=0))

    motion, (q, qd, qdd, tau) = jax.tree.map(np.asarray, sampled(best.reshape(n, -1)))
    torque_share = np.where(np.isfinite(effort), tau / effort, np.nan)
    for link, part in zip(links, torque_share, strict=True):
        if part > 1:
            notes.append(
                f"joint {link.joint} needs {part:.0%} of its torque by the description; "
                "use more seconds or a smaller share"
            )
    half, middle = 0.5 * (limits.upper - limits.lower), 0.5 * (limits.upper + limits.lower)
    return Excitation(
        Trajectory(times, q, qd, qdd, joints=robot.description.joints),
        motion._replace(seconds=seconds),
        conditions[0],
        float(np.median(conditions[1:])),
        float(nats[0] - np.median(np.asarray(nats[1:]))),
        len(base),
        np.max(np.abs(q - middle), axis=0) / half,
        np.max(np.abs(qd), axis=0) / limits.velocity,
        torque_share,
        limits,
        tuple(notes),
    )


def _condition(matrix: Float[np.ndarray, "rows base"]) -> float:
    """Compute the condition number of a matrix whose columns are scaled to unit norm."""
    return float(np.linalg.cond(matrix / np.linalg.norm(matrix, axis=0)))
