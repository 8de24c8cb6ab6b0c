from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from ..tasks.suite import realaigym
from ._simulate import AbstractController, Feedback, as_controller, final_state
from ._variation import PUSHES, Variation

_VALUES = 21  # values of each parameter and disturbance
_REPETITIONS = 10  # simulations of each noise level
_PUSHED = 50  # simulations with random pushes
_ANGLE, _SPEED = 0.35, 1.0  # tolerance of the last state, rad and rad/s


class RealAIGymRobustness(NamedTuple):
    """Robustness criteria and score of RealAIGym's leaderboard.

    **Attributes:** fractions of the simulations that end upright

    - `model`: with one wrong parameter.
    - `velocity_noise`: with noise on the measured velocities.
    - `torque_noise`: with noise on the torque.
    - `torque_response`: with a motor that is too slow or overshoots.
    - `delay`: with delayed measurements.
    - `perturbations`: with random pushes.
    - `score`: mean of the six.
    """

    model: float
    velocity_noise: float
    torque_noise: float
    torque_response: float
    delay: float
    perturbations: float
    score: float


def realaigym_robustness(
    robot: realaigym.Robot | str,
    controller: AbstractController | Feedback,
    *,
    seed: int = 0,
    batch: int = 128,
) -> RealAIGymRobustness:
    """Compute the robustness score of RealAIGym's leaderboard, version 2.

    The score uses 722 simulations of 10 s from hanging:

    - ten parameters of the model with 21 values each,
    - 21 levels each of velocity noise and torque noise, with ten repetitions,
    - 21 motor responses and 21 delays,
    - 50 simulations with random pushes.

    A simulation succeeds if its last state is within 0.35 rad and 1 rad/s of upright. A noise
    level succeeds if more than half of its repetitions do. As on the leaderboard, pushes of the
    joint without a motor have no effect.

    Ranges are those of `leaderboard/acrobot/robustness_v2` in
    https://github.com/dfki-ric-underactuated-lab/double_pendulum (BSD licence). Noise and
    pushes have the same distributions.

    **Arguments:**

    - `robot`: `"acrobot"` or `"pendubot"`.
    - `controller`: as for [`lagdyna.scores.realaigym_trajectory`][].
    - `seed`: seed of noise and pushes.
    - `batch`: number of simulations that run together.

    **Raises:** `ValueError` as `realaigym_trajectory`, or if `batch` is not positive.
    """
    realaigym.check_robot(robot)
    if batch < 1:
        raise ValueError(f"`batch` must be at least 1, got {batch}")
    variations = variations_of(np.random.default_rng(seed))
    with jax.enable_x64(True):
        controlled = as_controller(controller)
        parts = {
            name: _successes(robot, controlled, each, jax.random.key(seed + i), batch)
            for i, (name, each) in enumerate(variations.items())
        }
    for name in ("velocity_noise", "torque_noise"):
        parts[name] = parts[name].reshape(_VALUES, _REPETITIONS).mean(axis=1) > 0.5
    scores = {name: float(np.mean(part)) for name, part in parts.items()}
    return RealAIGymRobustness(**scores, score=float(np.mean(list(scores.values()))))


def variations_of(rng: np.random.Generator) -> dict[str, Variation]:
    """Create the variations of each criterion, stacked along a leading axis."""
    values = np.arange(_VALUES)
    delays = (np.linspace(0.0, 0.04, _VALUES) / realaigym.DT).astype(int)
    velocity = np.repeat(np.linspace(0.0, 0.5, _VALUES), _REPETITIONS)
    torque = np.repeat(np.linspace(0.0, 1.1, _VALUES), _REPETITIONS)
    return {
        "model": _wrong_parameters(),
        "velocity_noise": _stacked(len(velocity), speed_noise=velocity),
        "torque_noise": _stacked(len(torque), torque_noise=torque),
        "torque_response": _stacked(len(values), response=np.linspace(0.1, 2.0, _VALUES)),
        "delay": _stacked(len(delays), delay=delays),
        "perturbations": _random_pushes(rng),
    }


def _stacked(count: int, **changes: np.ndarray) -> Variation:
    """Repeat the nominal values along a leading axis, with some of them changed."""
    repeated = Variation(*(np.repeat(np.asarray(x)[None], count, 0) for x in Variation()))
    return repeated._replace(**changes)


def _wrong_parameters() -> Variation:
    """Create 21 values of each of ten parameters, all others nominal."""
    factors = np.linspace(0.75, 1.25, _VALUES)
    nominal = Variation()
    variations = [
        _stacked(_VALUES, rotor=np.linspace(0.0, 1e-4, _VALUES)),
        # The distance of the centre follows from mass and moment.
        _stacked(
            _VALUES,
            mass=factors * nominal.mass,
            moment=np.stack(
                [np.full(_VALUES, nominal.moment[0]), factors * nominal.moment[1]], axis=1
            ),
        ),
    ]
    for name, ranges in (
        ("moment", factors),
        ("inertia", factors),
        ("viscous", np.linspace(-0.1, 0.1, _VALUES)),
        ("coulomb", np.linspace(-0.2, 0.2, _VALUES)),
    ):
        for joint in range(2):
            part = np.repeat(np.asarray(getattr(nominal, name))[None], _VALUES, 0)
            scale = part[:, joint] if ranges is factors else 1.0
            part[:, joint] = scale * ranges
            variations.append(_stacked(_VALUES, **{name: part}))
    return Variation(*(np.concatenate(part) for part in zip(*variations, strict=True)))


def _random_pushes(rng: np.random.Generator) -> Variation:
    """Draw six pushes in each simulation, three of them on the driven joint."""
    gap, joints = 1.0, 2
    room = (realaigym.SECONDS - (joints * PUSHES + 1) * gap) / (joints * PUSHES)
    shape = (_PUSHED, joints * PUSHES)
    times = np.cumsum(gap + room * rng.random(shape), axis=1)
    mine = rng.permuted(times, axis=1)[:, :PUSHES]
    torque = rng.uniform(-4.5, 4.5, mine.shape)
    return _stacked(
        _PUSHED,
        push_time=mine,
        push_width=rng.uniform(0.05, 0.1, mine.shape),
        push_torque=torque + 0.5 * np.sign(torque),
    )


def _successes(
    robot: str,
    controller: AbstractController,
    variations: Variation,
    key: Key[Array, ""],
    batch: int,
) -> Bool[np.ndarray, " simulations"]:
    """Simulate all variations, a batch at a time, and test which end upright."""
    count = len(variations.delay)
    found = []
    for first in range(0, count, batch):
        # Pad the last batch, so that all use the same compiled program.
        rows = np.minimum(np.arange(first, first + batch), count - 1)
        part = jax.tree.map(lambda x, rows=rows: jnp.asarray(x[rows]), variations)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(first, first + batch))
        found.append(np.asarray(_end_upright(robot, controller, part, keys)))
    return np.concatenate(found)[:count]


@eqx.filter_jit
def _end_upright(
    robot: str,
    controller: AbstractController,
    variations: Variation,
    keys: Key[Array, " batch"],
) -> Bool[Array, " batch"]:
    def one(variation: Variation, key: Key[Array, ""]) -> Bool[Array, ""]:
        last = final_state(robot, controller, variation, key, realaigym.STEPS)
        off: Float[Array, " 2"] = jnp.pi - jnp.mod(jnp.pi - last.q, 2 * jnp.pi)
        near = (jnp.abs(off) < _ANGLE) & (jnp.abs(last.qd) < _SPEED)
        return jnp.all(near)

    return jax.vmap(one)(variations, keys)
