import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lagdyna.experiments import UserError
from lagdyna.experiments._evaluation import evaluate_policy, record_rollout
from lagdyna.experiments._plots import plot_energy, plot_learning_curve, write_gif
from lagdyna.mechanics import State
from lagdyna.tasks import GymnasiumTask, get_task

from .. import environments as environments  # registers them

PENDULUM = get_task("Pendulum-v1")
COUNTDOWN = dataclasses.replace(PENDULUM, env_id="lagdyna-tests/Countdown-v0")
SHORT = dataclasses.replace(PENDULUM, env_id="lagdyna-tests/ShortPendulum-v0")


def brake(states: State) -> np.ndarray:
    """Some policy: against the motion."""
    return -0.3 * np.asarray(states.qd)


def test_a_return_is_what_its_own_episode_paid_and_no_more() -> None:
    """Episodes of one to nine steps, side by side, a reward of 1 for each step."""
    seeds = list(range(12))
    lengths = []
    for seed in seeds:
        env = environments.Countdown()
        env.reset(seed=seed)
        lengths.append(env.rest)
    assert len(set(lengths)) > 4
    returns = evaluate_policy(COUNTDOWN, brake, seeds, 100)
    np.testing.assert_array_equal(returns, lengths)


def test_returns_are_those_of_the_task_s_own_steps() -> None:
    seeds = [5, 6]
    returns = evaluate_policy(SHORT, brake, seeds, 100)
    for seed, found in zip(seeds, returns, strict=True):
        env, total, ended = GymnasiumTask(SHORT), 0.0, False
        state = env.reset(seed)
        while not ended:
            outcome = env.step(brake(state))
            state, total, ended = outcome.state, total + outcome.reward, outcome.truncated
        assert found == pytest.approx(total, rel=1e-6)


def test_the_last_step_that_is_waited_for_may_end_the_episode() -> None:
    assert evaluate_policy(SHORT, brake, [0], 20).shape == (1,)
    with pytest.raises(UserError, match=r"was 19, and 1 of 1 .*a larger number is accepted"):
        evaluate_policy(SHORT, brake, [0], 19)


def test_a_rollout_is_one_episode_with_its_pictures() -> None:
    rollout = record_rollout(SHORT, brake, 3, 100)
    assert rollout.states.q.shape == rollout.states.qd.shape == (21, 1)
    assert rollout.actions.shape == (20, 1)
    assert rollout.frames is not None
    assert len(rollout.frames) == 21
    assert rollout.rewards.sum() == pytest.approx(evaluate_policy(SHORT, brake, [3], 100)[0])
    np.testing.assert_allclose(rollout.actions, brake(rollout.states)[:-1], rtol=1e-6)


def test_a_rollout_without_end_or_pictures_is_cut_short() -> None:
    still = dataclasses.replace(PENDULUM, env_id="lagdyna-tests/Still-v0")
    rollout = record_rollout(still, brake, 3, 7)
    assert rollout.frames is None
    assert rollout.states.q.shape == (8, 1)


def test_an_animation_runs_in_real_time(tmp_path: Path) -> None:
    for dt in (0.05, 0.01):
        frames = np.random.default_rng(0).integers(0, 255, (40, 30, 60, 3), np.uint8)
        write_gif(tmp_path / "a.gif", frames, dt)
        with Image.open(tmp_path / "a.gif") as image:
            assert image.size == (240, 120)
            seconds = getattr(image, "n_frames", 1) * image.info["duration"] / 1000
        assert seconds == pytest.approx(40 * dt, rel=0.05)
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]


@pytest.mark.parametrize("parts", [True, False])
def test_energies_are_drawn_whether_or_not_they_have_parts(tmp_path: Path, parts: bool) -> None:
    time, total = np.arange(5.0), np.ones(5)
    split: Any = (0.4 * total, 0.6 * total) if parts else (None, None)
    plot_energy(tmp_path / "a.png", time, total, 0 * total, *split, "title")
    with Image.open(tmp_path / "a.png") as image:
        assert len(set(image.convert("L").get_flattened_data())) > 10


@pytest.mark.parametrize("target", [None, -200.0])
def test_a_learning_curve_is_drawn_with_a_target_or_without(
    tmp_path: Path, target: float | None
) -> None:
    evaluation = {"env_steps": 10, "return_mean": -300.0, "return_std": 10.0}
    record = {"evaluations": [evaluation], "env_steps": 20, "train_return": -500.0}
    plot_learning_curve(tmp_path / "a.png", [record], "title", target)
    with Image.open(tmp_path / "a.png") as image:
        assert len(set(image.convert("L").get_flattened_data())) > 10


def test_an_episode_that_cannot_be_drawn_here_has_no_pictures() -> None:
    undrawable = dataclasses.replace(COUNTDOWN, env_id="lagdyna-tests/Undrawable-v0")
    rollout = record_rollout(undrawable, brake, 3, 100)
    assert rollout.frames is None
    assert np.all(rollout.rewards == 1)
