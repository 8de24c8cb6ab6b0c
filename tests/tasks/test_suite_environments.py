import dataclasses
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

from lagdyna.mechanics import Coordinates, State
from lagdyna.tasks import (
    SUITE,
    YARDSTICKS,
    SuiteEnv,
    SuiteTask,
    SuiteVectorEnv,
    get_task,
    suite_task,
)

from .suite import some_action, some_state, step

COPIES = 4  # one number for all tests, so that programs are compiled once


def with_masses(name: str, masses: jax.Array) -> SuiteTask:
    """Return a task with batched parameters and a different mass per copy."""

    def one(mass: jax.Array) -> SuiteTask:
        task = suite_task(name)
        body = task.system.lagrangian
        return eqx.tree_at(lambda t: t.system.lagrangian.mass, task, mass * body.mass)

    return eqx.filter_vmap(one)(masses)


@pytest.mark.usefixtures("x64")
def test_batched_parameters_apply_to_each_copy() -> None:
    factors = jnp.asarray([1.0, 2.0, 5.0])
    task = with_masses("pendulum", factors)
    state, action = some_state(suite_task("pendulum"), 8), jnp.ones(1)
    env = SuiteVectorEnv(task, 3, batched=True)
    env.reset(options={"state": [np.tile(part, (3, 1)) for part in state]})
    env.step(np.ones((3, 1)))
    for i, factor in enumerate(factors):
        mine = eqx.tree_at(lambda t: t.system.lagrangian.mass, suite_task("pendulum"), factor)
        alone, _ = step(mine, state, action)
        np.testing.assert_allclose(env.state.qd[i], alone.qd, rtol=1e-12)
    assert np.ptp(env.state.qd[:, 0]) > 1e-3
    with pytest.raises(ValueError, match=r"shapes .*; with `batched`.*`num_envs`, 4"):
        SuiteVectorEnv(task, 4, batched=True)
    with pytest.raises(
        ValueError, match=r"a step does not accept; for a leading axis .* `batched`"
    ):
        SuiteVectorEnv(with_masses("acrobot", factors), 3)


@pytest.mark.parametrize("name", [*SUITE, *YARDSTICKS])
def test_environments_pass_the_gymnasium_checker(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gym.make(get_task(name).env_id)
        check_env(env.unwrapped)
        assert env.spec is not None
        assert env.spec.max_episode_steps == env.unwrapped.task.horizon
        env.close()


@pytest.mark.parametrize("name", ["realaigym-pendubot", "pilco-cartpole"])
def test_copies_of_published_benchmarks_step(name: str) -> None:
    env = gym.make_vec(get_task(name).env_id, 2, max_episode_steps=2)
    first, _ = env.reset(seed=0)
    for ended in (False, True):
        after, rewards, terminated, truncated, _ = env.step(np.full((2, 1), 0.5))
        assert truncated.tolist() == [ended, ended]
        assert not terminated.any()
    assert np.isfinite(rewards).all()
    assert (after != first).any(axis=1).all()


def test_environments_match_the_task_in_float64() -> None:
    env: Any = gym.make("lagdyna/Acrobot-v0").unwrapped
    observation, _ = env.reset(seed=3)
    assert observation.dtype == np.float32
    with jax.enable_x64(True):
        task = suite_task("acrobot")
        state = State(*map(jnp.asarray, env.state))
        for seed in range(5):
            action = some_action(task, seed)
            observation, reward, *_ = env.step(np.asarray(action))
            state, expected = step(task, state, action)
            np.testing.assert_allclose(env.state, state, rtol=1e-13)
            np.testing.assert_allclose(observation, task.observe(state), rtol=1e-6)
            assert reward == pytest.approx(float(expected), rel=1e-13)
    assert env.state.q.dtype == np.float64


def test_float32_is_close_to_float64() -> None:
    envs = [SuiteEnv("acrobot", precision=p) for p in ("float32", "float64")]
    start = ([3.0, 0.2], [0.0, 0.0])
    for env in envs:
        env.reset(options={"state": start})
        for _ in range(20):
            env.step([0.5])
    assert envs[0].state.q.dtype == np.float32
    np.testing.assert_allclose(envs[0].state.q, envs[1].state.q, atol=1e-4)


def test_copies_match_single_environments_through_autoreset() -> None:
    horizon, copies = 3, COPIES
    env = gym.make_vec("lagdyna/Pendulum-v0", copies, max_episode_steps=horizon)
    singles = [
        gym.make("lagdyna/Pendulum-v0", max_episode_steps=horizon) for _ in range(copies)
    ]
    sync = gym.vector.SyncVectorEnv([lambda e=e: e for e in singles])
    assert isinstance(env, SuiteVectorEnv)
    assert env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert sync.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert env.observation_space == sync.observation_space
    assert env.action_space == sync.action_space
    ours, theirs = env.reset(seed=11), sync.reset(seed=11)
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-6)
    assert np.ptp(ours[0][:, 1]) > 0
    rng = np.random.default_rng(0)
    ended = 0
    for _ in range(10):
        actions = rng.uniform(-1, 1, (copies, 1)).astype(np.float32)
        ours, theirs = env.step(actions), sync.step(actions)
        for mine, other in zip(ours[:4], theirs[:4], strict=True):
            assert mine.dtype == other.dtype
            np.testing.assert_allclose(mine, other, atol=1e-6)
        ended += int(ours[3].all())
    assert ended == 2
    ours, theirs = env.reset(), sync.reset()
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-6)


def test_returned_arrays_do_not_alias_the_environment() -> None:
    env = SuiteVectorEnv("pendulum", COPIES)
    first, _ = env.reset(seed=0)
    first[:] = 0
    kept = env.state
    kept.q[:] = 0
    assert env.state.q.all()


def test_thousands_of_copies_compile_once(compilations: Callable[[], int]) -> None:
    env = gym.make_vec("lagdyna/Pendulum-v0", 4096, precision="float32", max_episode_steps=3)
    env.reset(seed=0)
    actions = np.ones((4096, 1), np.float32)
    env.step(actions)
    before = compilations()
    for _ in range(6):
        _, reward, *_ = env.step(actions)
    assert compilations() == before
    assert reward.shape == (4096,)


def drawn(env: SuiteEnv, q: list[float], action: list[float] | None = None) -> np.ndarray:
    """Render a state that is reached by an action of negligible duration."""
    env.reset(options={"state": (q, [0.0] * len(q))})
    if action is not None:
        env.step(action)
    picture = env.render()
    assert picture is not None
    return picture.astype(int)


def test_pictures_are_drawn_without_a_screen() -> None:
    for name in ("pendulum", "cart3pole"):
        env: Any = gym.make(SUITE[name].env_id, render_mode="rgb_array")
        n = get_task(name).n
        pictures = []
        for angle in (0.0, 1.0):
            env.reset(options={"state": (np.full(n, angle), np.zeros(n))})
            picture = env.render()
            assert picture.shape == (480, 480, 3)
            assert picture.dtype == np.uint8
            pictures.append(picture)
        assert (pictures[0] != pictures[1]).mean() > 0.01
    far = SuiteEnv("cartpole", render_mode="rgb_array")
    assert (
        len(np.unique(drawn(far, [100.0, 0.0]).reshape(-1, 3), axis=0)) > 10
    )  # the view follows the cart


def test_edges_are_smooth() -> None:
    """The edges of a link blend its colour with the background."""
    picture = drawn(SuiteEnv("acrobot", render_mode="rgb_array"), [1.0, 0.3])
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 25


def test_arrows_show_the_action_and_nothing_else() -> None:
    still = dataclasses.replace(suite_task("pendulum"), dt=1e-9)
    env = SuiteEnv(still, render_mode="rgb_array")
    middle, none = drawn(env, [0.0]), drawn(env, [0.0], [0.0])
    np.testing.assert_array_equal(middle, none)
    for action, side in ((1.0, np.s_[:, 240:]), (-1.0, np.s_[:, :240])):
        changed = np.any(drawn(env, [0.0], [action]) != none, axis=-1)
        # On an upright link, a clockwise torque is an arc on the right.
        assert changed[side].sum() > 0.95 * changed.sum() > 50
    weak = np.any(drawn(env, [0.0], [0.3]) != none, axis=-1)
    assert 0 < weak.sum() < changed.sum()
    env.reset(seed=0)
    start, _ = env.render(), env.step([1.0])
    env.reset(options={"state": env.state})
    np.testing.assert_array_equal(env.render(), start)  # no action yet in the new episode


def test_copies_are_drawn_like_single_environments() -> None:
    many = SuiteVectorEnv("pendulum", COPIES, render_mode="rgb_array", max_episode_steps=1)
    many.reset(seed=0)
    for moved in (True, False):  # the second step starts new episodes
        many.step(np.full((COPIES, 1), 0.5))
        pictures = many.render()
        assert pictures is not None
        assert len(pictures) == COPIES
        one = SuiteEnv("pendulum", render_mode="rgb_array")
        q = many.state.q[1].tolist()
        one.reset(options={"state": (q, [0.0])})
        assert np.array_equal(pictures[1], one.render()) is not moved


@pytest.fixture
def no_screen(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Pygame without a display, with a record of the waiting times of its clock."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    return pytest.importorskip("pygame")


def shown(pygame: Any) -> np.ndarray:
    """Read the content of the window."""
    return pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)


def test_a_window_shows_every_reset_and_step(no_screen: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env: Any = gym.make("lagdyna/Pendulum-v0", render_mode="human")
    assert no_screen.display.get_surface() is None  # the window opens with the first image
    single = SuiteEnv("pendulum", render_mode="rgb_array")
    for each in (env, single):
        each.reset(seed=4)
    np.testing.assert_array_equal(shown(no_screen), single.render())
    for action in ([1.0], [-1.0]):
        for each in (env, single):
            each.step(action)
        np.testing.assert_array_equal(shown(no_screen), single.render())
    assert env.render() is None
    env.close()
    assert no_screen.display.get_surface() is None
    env.close()
    env.reset()  # opens it again, as in Gymnasium
    assert no_screen.display.get_surface() is not None
    env.close()


def test_a_window_is_paced(no_screen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    class Clock:
        def tick(self, fps: float) -> None:
            asked.append(fps)

    monkeypatch.setattr(no_screen.time, "Clock", Clock)
    env = SuiteEnv("pendulum", render_mode="human")
    assert env.metadata["render_fps"] == 50
    env.reset(seed=0)
    env.step([0.0])
    env.close()
    assert asked == [50, 50]


def test_copies_share_a_window(no_screen: Any) -> None:
    env = gym.make_vec("lagdyna/Pendulum-v0", COPIES, render_mode="human")
    states = np.arange(COPIES)[:, None] + 0.5
    env.reset(options={"state": (states, 0 * states)})
    whole = shown(no_screen)
    assert whole.shape == (960, 960, 3)
    single = SuiteEnv("pendulum", render_mode="rgb_array")
    tiles = whole[:480, :480], whole[:480, 480:], whole[480:, :480], whole[480:, 480:]
    for q, tile in zip(states.tolist(), tiles, strict=True):
        np.testing.assert_array_equal(tile, drawn(single, q))
    env.step(env.action_space.sample())
    assert (shown(no_screen) != whole).any()
    env.close()
    assert no_screen.display.get_surface() is None


def test_gymnasium_collects_pictures() -> None:
    env: Any = gym.make("lagdyna/Pendulum-v0", render_mode="rgb_array_list")
    env.reset(seed=0)
    for _ in range(3):
        env.step([0.1])
    frames = env.render()
    assert [frame.shape for frame in frames] == [(480, 480, 3)] * 4
    assert (frames[0] != frames[-1]).any()


def test_gymnasium_records_a_video(tmp_path: Path) -> None:
    pytest.importorskip("moviepy", exc_type=ImportError)
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    inner = gym.make("lagdyna/Pendulum-v0", render_mode="rgb_array", max_episode_steps=10)
    env = gym.wrappers.RecordVideo(inner, str(tmp_path / "seen"), disable_logger=True)
    env.reset(seed=0)
    for _ in range(10):
        env.step(np.asarray([0.5], np.float32))
    env.close()
    [film] = (tmp_path / "seen").glob("*.mp4")
    frames, seconds = ffmpeg.count_frames_and_secs(str(film))
    assert frames in (10, 11)  # eleven images; moviepy may lose one by rounding
    assert seconds == pytest.approx(frames / 50, abs=0.01)


@pytest.mark.parametrize("name", ["TD3", "PPO"])
def test_stable_baselines3_trains_in_it(name: str) -> None:
    """Stable-Baselines3 runs on the environment without an adapter."""
    other = pytest.importorskip("stable_baselines3")
    small = {"net_arch": [16]}
    if name == "TD3":
        env = gym.make("lagdyna/Pendulum-v0")
        agent = other.TD3("MlpPolicy", env, learning_starts=100, policy_kwargs=small, seed=0)
    else:
        envs = other.common.env_util.make_vec_env("lagdyna/Pendulum-v0", 4, seed=0)
        agent = other.PPO("MlpPolicy", envs, n_steps=64, policy_kwargs=small, seed=0)
    before = {key: value.clone() for key, value in agent.policy.state_dict().items()}
    agent.learn(300)
    after = agent.policy.state_dict()
    assert agent.num_timesteps >= 300
    assert all(bool(value.isfinite().all()) for value in after.values())
    assert any(bool((after[key] != before[key]).any()) for key in before)


@pytest.mark.parametrize(
    ("action", "told"),
    [
        ([math.nan], r"nan at index \(0,\).*not a number.*\[-1, 1\] of shape \(1,\)"),
        ([math.inf], r"inf at index \(0,\).*out of range.*\[-1, 1\]"),
        ([-1.001], r"-1.001 at index \(0,\).*out of range"),
        ([0.0, 0.0], r"`action` has shape \(2,\); numbers in \[-1, 1\] of shape \(1,\)"),
        (0.0, r"shape \(\)"),
        ("left", "'left'"),
        (None, r"shape \(\)"),
    ],
)
def test_a_bad_action_is_refused(action: Any, told: str) -> None:
    env = SuiteEnv("pendulum")
    env.reset(seed=0)
    before = env.state
    with pytest.raises(ValueError, match=told):
        env.step(action)
    np.testing.assert_array_equal(env.state, before)
    copies = SuiteVectorEnv("pendulum", COPIES)
    copies.reset(seed=0)
    with pytest.raises(ValueError, match="`action`"):
        copies.step(action)


def test_the_error_names_the_copy_with_a_bad_action() -> None:
    copies = SuiteVectorEnv("pendulum", COPIES)
    copies.reset(seed=0)
    actions = np.zeros((COPIES, 1))
    actions[2] = 3.0
    with pytest.raises(ValueError, match=r"3.0 at index \(2, 0\)"):
        copies.step(actions)


def test_an_action_may_be_off_by_rounding() -> None:
    env = SuiteEnv("pendulum")
    ends = []
    for action in (np.nextafter(np.float32(1), np.float32(2)), np.float32(1)):
        env.reset(options={"state": ([1.0], [0.0])})
        env.step(action[None])
        ends.append(env.state)
    np.testing.assert_array_equal(*ends)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"state": ([math.nan, 0], [0, 0])}, "not finite"),
        ({"state": ([0, 0], [0, math.inf])}, "not finite"),
        ({"state": ([0, 0], [1e39, 0])}, "not finite; .*finite float32 numbers"),
        ({"state": ([0], [0, 0])}, r"shapes \(1,\) and \(2,\).*shape \(2,\)"),
        ({"state": 3}, "was 3"),
        ({"state": ([0, 0],)}, "a pair"),
        ({"low": 1}, "`options` has 'low'; only 'state'"),
    ],
)
def test_a_bad_start_is_refused(options: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        SuiteEnv("acrobot").reset(options=options)


@pytest.mark.parametrize("make", [SuiteEnv, lambda task: SuiteVectorEnv(task, 3)])
def test_invalid_parameters_are_refused(make: Any) -> None:
    task = suite_task("acrobot")

    def changed(name: str, value: Any) -> SuiteTask:
        return eqx.tree_at(lambda t: getattr(t.system.lagrangian, name), task, value)

    for name, value, told in (
        ("mass", jnp.asarray([math.nan, 0.1]), "parameters that are not finite"),
        ("mass", jnp.asarray([0.1, -0.1]), "links of mass -0.1; positive"),
        ("length", jnp.zeros(2), "links of length 0; positive"),
        ("length", jnp.ones(3), r"arrays of shapes .*which a step does not accept"),
        ("mass", jnp.ones((3, 2)), "use `SuiteVectorEnv` with `batched`"),
    ):
        with pytest.raises(ValueError, match=told):
            make(changed(name, value))


def test_a_copy_without_a_seed_keeps_its_seed() -> None:
    some, all_of_them = SuiteVectorEnv("pendulum", 3), SuiteVectorEnv("pendulum", 3)
    for copies in (some, all_of_them):
        copies.reset(seed=[4, 5, 6])
    mixed, _ = some.reset(seed=[None, 9, None])
    again, _ = all_of_them.reset()
    np.testing.assert_array_equal(mixed[[0, 2]], again[[0, 2]])
    np.testing.assert_array_equal(mixed[1], SuiteEnv("pendulum").reset(seed=9)[0])
    # Without an earlier seed, a random one is used.
    SuiteVectorEnv("pendulum", 2).reset(seed=[None, 1])
    with pytest.raises(ValueError, match=r"`seed` was \[-1, 2, 3\]; numbers from 0 on"):
        some.reset(seed=[-1, 2, 3])


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="'acrobt'.*nearest: acrobot.*all: pendulum"):
        suite_task("acrobt")
    with pytest.raises(ValueError, match="`precision` was 'half'"):
        SuiteEnv("acrobot", precision="half")
    for make in (SuiteEnv, SuiteVectorEnv):
        with pytest.raises(ValueError, match="`render_mode` was 'ansi'; None, 'human', 'rgb"):
            make("acrobot", render_mode="ansi")
    with pytest.raises(ValueError, match="`render_mode` was 'ansi'"):
        gym.make("lagdyna/Acrobot-v0", render_mode="ansi")
    with pytest.raises(ValueError, match="`num_envs` must be at least 1, got 0"):
        SuiteVectorEnv("acrobot", 0)
    with pytest.raises(ValueError, match="`max_episode_steps`"):
        SuiteVectorEnv("acrobot", 1, max_episode_steps=0)
    with pytest.raises(ValueError, match="`seed` has 1 entries for 2 copies"):
        SuiteVectorEnv("acrobot", 2).reset(seed=[1])
    with pytest.raises(gym.error.ResetNeeded):
        SuiteEnv("acrobot").step([0.0])
    task = suite_task("acrobot")
    with pytest.raises(ValueError, match="`dt` must be"):
        dataclasses.replace(task, dt=math.nan)
    with pytest.raises(ValueError, match="`horizon`"):
        dataclasses.replace(task, horizon=0)
    with pytest.raises(ValueError, match="`spread`"):
        dataclasses.replace(task, spread=-1.0)
    with pytest.raises(ValueError, match="`action_size`"):
        dataclasses.replace(task, action_size=0)
    system = dataclasses.replace(task.system, coordinates=Coordinates((True, False)))
    with pytest.raises(ValueError, match="one linear coordinate or none"):
        dataclasses.replace(task, system=system)
