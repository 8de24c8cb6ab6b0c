import dataclasses
import math
from typing import Any

import gymnasium as gym
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagdyna.mechanics import State
from lagdyna.simulate import SolvedTransition
from lagdyna.tasks import (
    CoordinateSpec,
    GymnasiumBatch,
    GymnasiumTask,
    ObservationError,
    RenderingError,
    TaskSpec,
    get_task,
    read_state,
)

from .. import environments as environments  # registers them
from ..helpers import PENDULUM, pendulum_field

SPEC = get_task("Pendulum-v1")
CAR = TaskSpec(
    env_id="MountainCarContinuous-v0",
    coordinates=(
        CoordinateSpec(
            kind="linear", position=0, velocity=1, velocity_limit=0.07, position_range=1.2
        ),
    ),
    dt=1.0,
    force=((0.0015,),),
)
angles = st.floats(-math.pi, math.pi)
speeds = st.floats(-8, 8)
units = st.floats(-1, 1)


def another(env_id: str) -> TaskSpec:
    return dataclasses.replace(SPEC, env_id=env_id)


@pytest.fixture(scope="module")
def raw() -> Any:
    """Gymnasium's own pendulum, which accepts any state."""
    return gym.make("Pendulum-v1").unwrapped


def observed(raw: Any, q: float, qd: float) -> np.ndarray:
    raw.reset()
    raw.state = np.asarray([q, qd])
    return raw._get_obs()


@given(st.floats(-20, 20), speeds)
def test_reading_the_state_inverts_the_observation(raw: Any, q: float, qd: float) -> None:
    state = read_state(SPEC, observed(raw, q, qd))
    assert state.q.shape == state.qd.shape == (1,)
    assert abs(state.q[0]) <= np.float32(math.pi)
    assert math.remainder(state.q[0] - q, 2 * math.pi) == pytest.approx(0, abs=1e-5)
    assert state.qd[0] == pytest.approx(qd, abs=1e-5)


@given(st.lists(st.tuples(angles, speeds), min_size=1, max_size=4))
def test_a_batch_is_read_like_single_observations(raw: Any, states: list) -> None:
    observations = np.stack([observed(raw, q, qd) for q, qd in states])
    together = read_state(SPEC, observations)
    assert together.q.shape == together.qd.shape == (len(states), 1)
    for i, observation in enumerate(observations):
        alone = read_state(SPEC, observation)
        np.testing.assert_array_equal(together.q[i], alone.q)
        np.testing.assert_array_equal(together.qd[i], alone.qd)


def test_every_kind_of_coordinate_is_read_from_its_indices() -> None:
    spec = TaskSpec(
        env_id="x",
        coordinates=(
            CoordinateSpec(kind="angle", cos=4, sin=2, velocity=0, velocity_range=1.0),
            CoordinateSpec(kind="angle", position=5, velocity=6, velocity_range=1.0),
            CoordinateSpec(
                kind="linear", position=1, velocity=3, velocity_range=1.0, position_range=1.0
            ),
        ),
        dt=0.1,
        force=((1.0,), (0.0,), (0.0,)),
    )
    observation = np.asarray([10.0, 11.0, math.sin(0.7), 13.0, math.cos(0.7), 15.0, 16.0])
    state = read_state(spec, observation)
    # The state has the precision of the observation.
    np.testing.assert_allclose(state.q, [0.7, 15.0, 11.0], rtol=1e-14)
    assert state.q.dtype == state.qd.dtype == np.float64
    single = read_state(spec, observation.astype(np.float32))
    assert single.q.dtype == single.qd.dtype == np.float32
    np.testing.assert_allclose(state.qd, [10.0, 16.0, 13.0], rtol=1e-6)


@given(units, st.integers(0, 1000))
def test_actions_fill_the_range_of_the_environment(action: float, seed: int) -> None:
    """An action of 1 is the environment's 2; its reward and next state are returned."""
    task, plain = GymnasiumTask(SPEC), gym.make("Pendulum-v1")
    start = task.reset(seed)
    observation, _ = plain.reset(seed=seed)
    np.testing.assert_array_equal(start.q, read_state(SPEC, observation).q)
    outcome = task.step(np.asarray([action]))
    observation, reward, terminated, truncated, _ = plain.step(
        np.asarray([2 * action], np.float32)
    )
    desired = read_state(SPEC, observation)
    np.testing.assert_allclose(outcome.state.q, desired.q, atol=1e-6)
    np.testing.assert_allclose(outcome.state.qd, desired.qd, atol=1e-6)
    assert outcome.reward == pytest.approx(float(reward), abs=1e-6)
    assert (outcome.terminated, outcome.truncated) == (terminated, truncated)


@pytest.mark.parametrize(("wild", "tame"), [(7.0, 1.0), (-1.5, -1.0), (np.inf, 1.0)])
def test_actions_beyond_the_range_are_clipped(wild: float, tame: float) -> None:
    outcomes = []
    for action in (wild, tame):
        task = GymnasiumTask(SPEC)
        task.reset(3)
        outcomes.append(task.step(np.asarray([action])))
    np.testing.assert_array_equal(outcomes[0].state.qd, outcomes[1].state.qd)
    assert outcomes[0].reward == outcomes[1].reward


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (np.asarray([np.nan]), "`action` was .*nan.*, which contains NaN"),
        (np.zeros(2), "`action` has shape .*2.*"),
    ],
)
def test_an_invalid_action_is_reported_as_such(action: np.ndarray, said: str) -> None:
    task, batch = GymnasiumTask(SPEC), GymnasiumBatch(SPEC, 2)
    task.reset(3)
    batch.reset([0, 1])
    with pytest.raises(ValueError, match=rf"{said}; numbers of shape \(1,\) are accepted"):
        task.step(action)
    with pytest.raises(ValueError, match=rf"(?s){said}; numbers of shape \(2, 1\) are acc"):
        batch.step(np.tile(action, (2, 1)))
    task.close()
    batch.close()


def test_actions_fill_an_asymmetric_range() -> None:
    space = gym.spaces.Box(np.float32(-1.0), np.float32(5.0), (1,))
    seen: list[float] = []

    class Listening(environments.Still):
        def step(self, action: Any) -> Any:
            seen.append(float(action[0]))
            assert self.action_space.contains(action)
            return super().step(action)

    box = gym.spaces.Box(-1, 1, (3,), np.float32)
    gym.register("lagdyna-tests/Listening-v0", lambda: Listening(box, space))
    try:
        task = GymnasiumTask(another("lagdyna-tests/Listening-v0"))
        task.reset(0)
        for action in (-1.0, 0.0, 1.0):
            task.step(np.asarray([action]))
    finally:
        del gym.registry["lagdyna-tests/Listening-v0"]
    assert seen == [-1.0, 2.0, 5.0]


@given(angles, speeds, units)
def test_the_true_pendulum_with_the_task_s_limits_moves_as_the_environment(
    x64: None, raw: Any, q: float, qd: float, action: float
) -> None:
    """The description and the true masses determine the transition."""
    transition = SolvedTransition(
        pendulum_field(),
        PENDULUM,
        SPEC.dt,
        solver="semi_implicit_euler",
        velocity_limits=SPEC.velocity_limits,
    )
    assert transition.field.system.actuation.matrix == SPEC.force
    observed(raw, q, qd)
    raw.step(np.asarray([2 * action]))
    expected_q, expected_qd = raw.state
    state = State(jnp.asarray([q]), jnp.asarray([qd]))
    after = transition.step(state, jnp.asarray([action]))
    assert after.qd[0] == pytest.approx(expected_qd, abs=1e-9)
    # The environment clips before it moves, the transition afterwards. They differ by the
    # distance that the clipped part of the speed would have covered.
    gained = 0.05 * (15 * math.sin(q) + 3 * 2 * action)
    clipped = max(0.0, abs(qd + gained) - 8)
    apart = math.remainder(float(after.q[0]) - expected_q, 2 * math.pi)
    assert abs(apart) == pytest.approx(0.05 * clipped, abs=1e-9)


def test_speed_is_clipped_at_the_limit_by_both(raw: Any) -> None:
    limited = SolvedTransition(
        pendulum_field(), PENDULUM, SPEC.dt, velocity_limits=SPEC.velocity_limits
    )
    observed(raw, 1.5, 7.9)
    raw.step(np.asarray([2.0]))
    after = limited.step(State(jnp.asarray([1.5]), jnp.asarray([7.9])), jnp.ones(1))
    assert raw.state[1] == after.qd[0] == 8.0


def test_a_custom_description_opens_an_environment() -> None:
    task, plain = GymnasiumTask(CAR), gym.make("MountainCarContinuous-v0")
    state, (observation, _) = task.reset(5), plain.reset(seed=5)
    for action in (1.0, -0.3, 0.4):
        np.testing.assert_array_equal([*state.q, *state.qd], observation)
        outcome = task.step(np.asarray([action]))
        observation, reward, *_ = plain.step(np.asarray([action], np.float32))
        assert outcome.reward == pytest.approx(float(reward))
        state = outcome.state
    assert CAR.joint_coordinates.angles == (False,)
    assert CAR.reach == ((1.2,), (0.07,))


def test_an_episode_is_truncated_at_its_time_limit() -> None:
    task = GymnasiumTask(another("lagdyna-tests/ShortPendulum-v0"))
    task.reset(0)
    ends = [task.step(np.zeros(1)) for _ in range(20)]
    assert [outcome.truncated for outcome in ends] == 19 * [False] + [True]
    assert not any(outcome.terminated for outcome in ends)


def test_an_episode_may_terminate() -> None:
    task = GymnasiumTask(CAR)
    task.reset(0)
    task._env.unwrapped.state = np.asarray([0.44, 0.07])  # at the foot of the flag
    outcome = task.step(np.ones(1))
    assert outcome.terminated
    assert not outcome.truncated


def test_render_returns_an_image() -> None:
    task = GymnasiumTask(SPEC, render_mode="rgb_array")
    task.reset(0)
    picture = task.render()
    task.close()
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    assert picture.shape[-1] == 3
    assert len(np.unique(picture)) > 2
    assert "rgb_array" in task.render_modes


def test_render_needs_rgb_array_and_a_reset() -> None:
    with pytest.raises(ValueError, match="`render_mode` was None.*'rgb_array' is accepted"):
        GymnasiumTask(SPEC).render()
    with pytest.raises(ValueError, match="called before `reset`; call `reset` first"):
        GymnasiumTask(get_task("acrobot"), render_mode="rgb_array").render()


REFUSED = {
    "unknown": (another("Pendulum-v9"), "`env_id` was 'Pendulum-v9'.*nearest: Pendulum-v1"),
    "nonsense": (another("a b"), "`env_id` was 'a b'.*Gymnasium has no such environment"),
    "empty": (another(""), "`env_id` was ''.*Gymnasium has no such environment"),
    "module": (another("nosuchmodule:A-v0"), "`env_id` was 'nosuchmodule:A-v0'.*nosuchmodule"),
    "packages": (
        another("lagdyna-tests/NeedsPackages-v0"),
        "`env_id`.*needs more packages.*wheels-and-springs",
    ),
    "discrete": (
        another("CartPole-v1"),
        r"`env_id` was 'CartPole-v1', whose actions are Discrete\(2\); only continuous",
    ),
    "binary": (another("lagdyna-tests/Multibinary-v0"), "only continuous actions"),
    "unbounded": (another("lagdyna-tests/Unbounded-v0"), "only bounded actions"),
    "matrix": (another("lagdyna-tests/MatrixAction-v0"), r"`force` has 1 columns.*\(1, 1\)"),
    "columns": (
        dataclasses.replace(SPEC, force=((1.0, 2.0),)),
        r"`force` has 2 columns, but 'Pendulum-v1' has actions of shape \(1,\)",
    ),
    "picture": (another("lagdyna-tests/Picture-v0"), "only vectors"),
    "text": (another("lagdyna-tests/Text-v0"), "only vectors"),
    "index": (
        dataclasses.replace(
            SPEC, coordinates=(dataclasses.replace(SPEC.coordinates[0], velocity=3),)
        ),
        r"`coordinates\[0\]` reads entry 3.*entries 0 to 2",
    ),
    "context": (
        dataclasses.replace(SPEC, context=(1, 3)),
        "`context` reads entry 3 of the observation.*entries 0 to 2",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("make", [GymnasiumTask, lambda spec: GymnasiumBatch(spec, 2)])
def test_an_unsuitable_environment_is_refused_in_one_line(make: Any, what: str) -> None:
    spec, said = REFUSED[what]
    with pytest.raises(ValueError, match=said) as error:
        make(spec)
    assert "\n" not in str(error.value)


BROKEN = {
    "Growing": r"returned an observation of shape \(4,\); .* observation space Box\(.*\(3,\)",
    "Restless": r"returned an observation of shape \(4,\); .* observation space Box\(.*\(3,\)",
    "Unpaid": "returned a reward of nan; only finite numbers are accepted",
    "Undefined": "returned nan in entry 2 of an observation; only finite numbers are accepted",
    "Infinite": "returned inf in entry 0 of an observation; only finite numbers are accepted",
}


@pytest.mark.parametrize("what", BROKEN)
def test_invalid_observations_and_rewards_raise_an_error(what: str) -> None:
    spec = another(f"lagdyna-tests/{what}-v0")
    task, batch = GymnasiumTask(spec), GymnasiumBatch(spec, 2)
    task.reset(0)
    batch.reset([0, 1])
    for _ in range(2):
        task.step(np.zeros(1))
        batch.step(np.zeros((2, 1)))
    said = f"`env_id` was 'lagdyna-tests/{what}-v0', which {BROKEN[what]}"
    with pytest.raises(ObservationError, match=said):
        task.step(np.zeros(1))
    with pytest.raises(ObservationError, match=said):
        batch.step(np.zeros((2, 1)))


def test_dictionary_observations_are_flattened() -> None:
    """The order is that of the space, which sorts the names."""
    spec = another("lagdyna-tests/Nested-v0")
    task, plain = GymnasiumTask(spec), gym.make("lagdyna-tests/Nested-v0")
    plain.observation_space.seed(4)
    task._env.unwrapped.observation_space.seed(4)
    state, (observation, _) = task.reset(0), plain.reset(seed=0)
    (cos, sin), (velocity,) = observation["a"], observation["b"]
    np.testing.assert_allclose(state.q, [math.atan2(sin, cos)], rtol=1e-6)
    np.testing.assert_array_equal(state.qd, [velocity])


MISSING = {
    "mujoco": (
        another("InvertedPendulum-v5"),
        gym.error.DependencyNotInstalled("MuJoCo is not installed, run `pip install mujoco`"),
    ),
    "dm-control": (
        another("shimmy:dm_control/acrobot-swingup-v0"),
        ModuleNotFoundError("No module named 'shimmy'"),
    ),
}


@pytest.mark.parametrize("extra", MISSING)
def test_missing_packages_are_named_by_their_extra(
    monkeypatch: pytest.MonkeyPatch, extra: str
) -> None:
    spec, error = MISSING[extra]

    def make(*args: Any, **kwargs: Any) -> gym.Env:
        raise error

    monkeypatch.setattr(gym, "make", make)
    with pytest.raises(ValueError, match=rf"needs more packages; .*'lagdyna\[{extra}\]'"):
        GymnasiumTask(spec)


def test_an_environment_without_its_simulator_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Shimmy registers dm_control's environments only if dm_control is installed."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"more packages; .*'lagdyna\[dm-control\]'.*"):
        GymnasiumTask(another("dm_control/no-such-v0"))


def test_a_joint_angle_is_relative_to_the_previous_link() -> None:
    first = CoordinateSpec(kind="angle", cos=0, sin=1, velocity=4, velocity_range=1.0)
    second = CoordinateSpec(
        kind="angle", cos=2, sin=3, velocity=5, velocity_range=1.0, relative_to=0
    )
    spec = TaskSpec(env_id="x", coordinates=(first, second), dt=0.1, force=((0.0,), (1.0,)))
    observation = [f(angle) for angle in (2.5, -2.9) for f in (math.cos, math.sin)]
    q, qd = read_state(spec, np.asarray([*observation, 0.3, 0.4]))
    np.testing.assert_allclose(q, [2.5, 2 * math.pi - 5.4], rtol=1e-6)
    np.testing.assert_allclose(qd, [0.3, 0.4], rtol=1e-6)


def test_an_environment_that_is_refused_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    monkeypatch.setattr(
        environments.Still, "close", lambda self: closed.append(self), raising=False
    )
    with pytest.raises(ValueError, match="bounded"):
        GymnasiumTask(another("lagdyna-tests/Unbounded-v0"))
    assert len(closed) == 1


@pytest.mark.parametrize("spec", [SPEC, CAR], ids=["pendulum", "car"])
def test_a_batch_matches_single_environments(spec: TaskSpec) -> None:
    seeds = [3, 1, 4]
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1.2, 1.2, (12, len(seeds), spec.action_size))
    batch = GymnasiumBatch(spec, len(seeds))
    states = batch.reset(seeds)
    alone = [GymnasiumTask(spec) for _ in seeds]
    singles = [task.reset(seed) for task, seed in zip(alone, seeds, strict=True)]
    for step in actions:
        for i, single in enumerate(singles):
            np.testing.assert_array_equal(states.q[i], single.q)
            np.testing.assert_array_equal(states.qd[i], single.qd)
        states, rewards, ended = batch.step(step)
        outcomes = [task.step(step[i]) for i, task in enumerate(alone)]
        np.testing.assert_array_equal(rewards, [outcome.reward for outcome in outcomes])
        assert not ended.any()
        singles = [outcome.state for outcome in outcomes]
    batch.close()


def test_a_batch_reports_ended_episodes() -> None:
    batch = GymnasiumBatch(another("lagdyna-tests/ShortPendulum-v0"), 2)
    batch.reset([0, 1])
    ends = [batch.step(np.zeros((2, 1)))[2] for _ in range(20)]
    assert not np.any(ends[:-1])
    assert np.all(ends[-1])


@pytest.mark.parametrize("copies", [0, -1])
def test_a_batch_needs_at_least_one_copy(copies: int) -> None:
    with pytest.raises(ValueError, match=f"`copies` must be at least 1, got {copies}"):
        GymnasiumBatch(SPEC, copies)


def test_a_rendering_failure_raises_a_rendering_error() -> None:
    task = GymnasiumTask(another("lagdyna-tests/Undrawable-v0"), render_mode="rgb_array")
    task.reset(0)
    with pytest.raises(RenderingError, match=r"cannot be rendered.*no OpenGL platform"):
        task.render()
