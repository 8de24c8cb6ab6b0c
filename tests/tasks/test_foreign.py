"""Tests of the descriptions of MuJoCo environments against MuJoCo itself."""

import dataclasses
import math
from typing import Any

import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lagdyna.data import Experience
from lagdyna.learners import GradientLearner, OneStepLoss, fit, step_scale
from lagdyna.mechanics import (
    FixedActuation,
    MechanicalSystem,
    State,
    ViscousDissipation,
)
from lagdyna.models import DeLaN
from lagdyna.simulate import LagrangianField, SolvedTransition
from lagdyna.tasks import GymnasiumTask, ReacherTarget, TaskSpec, get_task

GYMNASIUM = ("InvertedPendulum-v5", "InvertedDoublePendulum-v5", "Reacher-v5")
DM_CONTROL = (
    "dm_control/pendulum-swingup-v0",
    "dm_control/cartpole-swingup-v0",
    "dm_control/acrobot-swingup-v0",
    "dm_control/reacher-easy-v0",
    "dm_control/reacher-hard-v0",
)


def opened(name: str) -> tuple[TaskSpec, GymnasiumTask, Any, Any]:
    """Return a task with the model and data of its simulator."""
    pytest.importorskip("mujoco")
    if name in DM_CONTROL:
        pytest.importorskip("dm_control")
        pytest.importorskip("shimmy")
    # Compare single environment steps, without action repeat.
    spec = dataclasses.replace(get_task(name), repeat=1)
    task = GymnasiumTask(spec)
    inner = task._env.unwrapped
    holder: Any = inner._env.physics if name in DM_CONTROL else inner
    return spec, task, holder.model, holder.data


def apart(spec: TaskSpec, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Compute differences of joint coordinates, angles along the shorter arc."""
    gone = np.asarray(a, np.float64)[: spec.n] - np.asarray(b, np.float64)[: spec.n]
    angle = np.asarray(spec.joint_coordinates.angles)
    return np.where(angle, np.remainder(gone + np.pi, 2 * np.pi) - np.pi, gone)


@pytest.mark.parametrize("name", GYMNASIUM + DM_CONTROL)
def test_descriptions_match_the_simulator(name: str) -> None:
    """Coordinates, velocities, forces and friction equal those of the simulator's joints."""
    spec, task, model, data = opened(name)
    state, rng, n = task.reset(1), np.random.default_rng(0), spec.n
    for _ in range(30):
        np.testing.assert_allclose(apart(spec, state.q, data.qpos), 0, atol=1e-5)
        np.testing.assert_allclose(state.qd[:n], data.qvel[:n], rtol=1e-5, atol=1e-6)
        action = rng.uniform(-0.3, 0.3, spec.action_size)
        before, outcome = state, task.step(action)
        state = outcome.state
        if outcome.terminated:
            state = task.reset(2)
            continue
        force = np.asarray(spec.force) @ action
        np.testing.assert_allclose(data.qfrc_actuator[:n], force, rtol=1e-5, atol=1e-7)
        # The velocity is the derivative of the coordinate: its mean over a step lies between
        # the velocities at both ends.
        gone = apart(spec, state.q, before.q) / spec.dt
        mean, change = 0.5 * (before.qd + state.qd)[:n], (state.qd - before.qd)[:n]
        assert np.all(np.abs(gone - mean) <= 0.51 * np.abs(change) + 0.05)
        # Context has no velocity.
        np.testing.assert_array_equal(state.q[n:], before.q[n:])
        np.testing.assert_array_equal(state.qd[n:], 0)
    damped = np.any(np.asarray(model.dof_damping)[:n] > 0)
    assert spec.dissipation == ("viscous" if damped else "none")
    task.close()


@pytest.mark.parametrize("level", ["easy", "hard"])
def test_the_reacher_s_target_is_where_the_simulator_has_it(level: str) -> None:
    spec, task, _, _ = opened(f"dm_control/reacher-{level}-v0")
    inner: Any = task._env.unwrapped
    for seed in range(3):
        state = task.reset(seed)
        target = inner._env.physics.named.model.geom_pos["target"][:2]
        np.testing.assert_allclose(state.q[spec.n :], target, atol=1e-6)
        assert np.linalg.norm(target) <= spec.context_range + 1e-6
    task.close()


@pytest.mark.parametrize("name", ["Reacher-v5", "dm_control/reacher-easy-v0"])
def test_the_way_to_the_target_is_the_one_that_is_observed(name: str) -> None:
    spec, task, _, _ = opened(name)
    coordinates, rng = spec.state_coordinates, np.random.default_rng(0)
    state = task.reset(3)
    for _ in range(20):
        state = task.step(rng.uniform(-1, 1, spec.action_size)).state
        # Gymnasium observes the vector from target to tip last, and calls it a distance.
        observed = task.observation[2:4] if "dm" in name else -task.observation[8:10]
        way = np.asarray(coordinates.embed(jnp.asarray(state.q)))[-3:]
        length = sum(spec.link_lengths)
        np.testing.assert_allclose(way[:2] * length, observed, atol=1e-5)
        distance = np.hypot(np.linalg.norm(observed) / length, 0.01)
        np.testing.assert_allclose(way[2], distance, rtol=1e-4)
    task.close()


@pytest.mark.parametrize("name", ["Reacher-v5", "dm_control/reacher-easy-v0"])
def test_stops_are_those_of_the_simulator_s_joints(name: str) -> None:
    spec, task, model, _ = opened(name)
    for i, coordinate in enumerate(spec.coordinates):
        if model.jnt_limited[i]:
            assert coordinate.stops_at == pytest.approx(model.jnt_range[i][1], abs=0.01)
        else:
            assert coordinate.stops_at is None
    task.close()


class Reaching(gym.Env):
    """Observation of dm_control's reacher, of one state."""

    observation_space = gym.spaces.Dict(
        {
            name: gym.spaces.Box(-np.inf, np.inf, (2,), np.float64)
            for name in ("position", "to_target", "velocity")
        }
    )
    action_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)

    def __init__(self, to_target: tuple[float, float]):
        angles = np.asarray([np.pi / 2, -np.pi / 2])  # the fingertip is at (0.12, 0.12)
        self.seen = {"position": angles, "to_target": np.asarray(to_target)}

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict]:
        return {**self.seen, "velocity": np.zeros(2)}, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        return {**self.seen, "velocity": np.ones(2)}, 0.0, False, False, {}


def test_a_reacher_observes_its_target_after_everything_else() -> None:
    env = gym.wrappers.FlattenObservation(ReacherTarget(Reaching((0.03, -0.12))))
    first, _ = env.reset()
    np.testing.assert_allclose(first[-2:], [0.15, 0.0], atol=1e-12)
    second = env.step(np.zeros(2))[0]
    np.testing.assert_array_equal(second[-2:], first[-2:])
    np.testing.assert_array_equal(second[4:6], [1.0, 1.0])
    assert get_task("dm_control/reacher-easy-v0").context == (6, 7)


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_double_pendulum_s_velocity_limits_are_where_observations_are_clipped(
    sign: int,
) -> None:
    """A velocity within the limits is observed unchanged, a larger one as the limit."""
    spec, task, model, data = opened("InvertedDoublePendulum-v5")
    task.reset(0)
    inner: Any = task._env.unwrapped
    space = inner.observation_space
    for place, c in enumerate(spec.coordinates):
        limit = c.velocity_limit
        assert limit is not None
        assert np.isinf([space.low[c.velocity], space.high[c.velocity]]).all()
        for speed, seen in ((0.99 * limit, 0.99 * limit), (1.01 * limit, limit)):
            velocities = np.zeros(model.nv)
            velocities[place] = sign * speed
            inner.set_state(data.qpos.copy(), velocities)
            observed = inner._get_obs()[c.velocity]
            assert observed == pytest.approx(sign * seen, rel=1e-12)
    task.close()


@pytest.mark.parametrize("name", GYMNASIUM)
def test_episodes_terminate_as_described(name: str) -> None:
    spec, task, _, _ = opened(name)
    ended = []
    for seed in range(3):
        task.reset(seed)
        for _ in range(60):
            outcome = task.step(np.full(spec.action_size, (-1.0) ** seed))
            beyond = bool(np.any(np.abs(outcome.state.q) > np.asarray(spec.ends_beyond)))
            if not spec.terminates:
                assert outcome.terminated == beyond
            ended.append(outcome.terminated)
            if outcome.terminated or outcome.truncated:
                break
    assert any(ended) == (spec.terminates or min(spec.ends_beyond) < math.inf)
    task.close()


def recorded(spec: TaskSpec, task: GymnasiumTask, episodes: int, steps: int) -> Experience:
    """Record steps that stay clear of the joint's stop."""
    rng, rows = np.random.default_rng(0), []
    for seed in range(episodes):
        state = task.reset(seed)
        for _ in range(steps):
            action = rng.uniform(-0.3, 0.3, spec.action_size)
            outcome = task.step(action)
            if np.all(np.abs([state.q[1], outcome.state.q[1]]) < 2.5):
                before, after = (State(*(x[:2] for x in s)) for s in (state, outcome.state))
                rows.append((*before, action, outcome.reward, *after, False))
            state = outcome.state
    q, qd, action, reward, next_q, next_qd, ended = map(np.asarray, zip(*rows, strict=True))
    state, after = State(q, qd), State(next_q, next_qd)
    experience = Experience(state, action, reward, after, ended)
    return jax.tree.map(
        lambda x: jnp.asarray(x, bool if x.dtype == bool else jnp.float32), experience
    )


def test_friction_and_masses_of_the_reacher_are_identified() -> None:
    """The known force of an action makes both identifiable, not only their ratio.

    The rotors' inertia of 1 kg m^2 each dominates the mass matrix; the links add 1e-3 of it.
    """
    spec, task, model, data = opened("Reacher-v5")
    experience = recorded(spec, task, 20, 25)
    assert experience.reward.shape[0] > 300
    coordinates = spec.joint_coordinates
    system = MechanicalSystem(
        DeLaN(coordinates, hidden=(16,), initial_mass=2.0, key=jax.random.key(0)),
        coordinates,
        FixedActuation(spec.force),
        ViscousDissipation(jnp.full(2, 0.1)),
    )
    transition = SolvedTransition(LagrangianField(system), coordinates, spec.dt)
    scale = step_scale(experience, coordinates)
    optimiser = optax.adam(optax.cosine_decay_schedule(1e-2, 2500, 0.01))
    learner = GradientLearner(optimiser, OneStepLoss(scale))
    found = fit(transition, learner, experience, key=jax.random.key(1), steps=2500).model
    predicted = jax.vmap(found.step)(experience.state, experience.action)
    for actual, desired, unit in (
        (predicted.q, experience.next_state.q, scale.q),
        (predicted.qd, experience.next_state.qd, scale.qd),
    ):
        assert float(jnp.sqrt(jnp.mean(((actual - desired) / unit) ** 2))) < 0.02
    learned = found.field.system
    np.testing.assert_allclose(
        learned.dissipation.coefficients, model.dof_damping[:2], rtol=0.05
    )
    q = jnp.asarray(data.qpos[:2], jnp.float32)
    factor = learned.lagrangian.mass_factor(q)
    np.testing.assert_allclose(factor @ factor.T, np.diag(model.dof_armature[:2]), atol=0.05)
