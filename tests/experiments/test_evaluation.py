import dataclasses
import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lagdyna.experiments import UserError
from lagdyna.experiments._evaluation import evaluate_policy, record_rollout
from lagdyna.experiments._plots import plot_energy, plot_learning_curve
from lagdyna.experiments._video import check_draws, check_video, filming
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
    frames: list[np.ndarray] = []
    rollout = record_rollout(SHORT, brake, 3, 100, frames.append)
    assert rollout.states.q.shape == rollout.states.qd.shape == (21, 1)
    assert rollout.actions.shape == (20, 1)
    assert len(frames) == 21
    assert all((a != b).any() for a, b in itertools.pairwise(frames))
    assert rollout.rewards.sum() == pytest.approx(evaluate_policy(SHORT, brake, [3], 100)[0])
    np.testing.assert_allclose(rollout.actions, brake(rollout.states)[:-1], rtol=1e-6)


def test_a_rollout_without_end_or_pictures_is_cut_short() -> None:
    still = dataclasses.replace(PENDULUM, env_id="lagdyna-tests/Still-v0")
    frames: list[np.ndarray] = []
    rollout = record_rollout(still, brake, 3, 7, frames.append)
    assert not frames
    assert rollout.states.q.shape == (8, 1)


def test_an_animation_runs_in_real_time(tmp_path: Path) -> None:
    for dt in (0.05, 0.01):
        with filming(tmp_path / "a.gif", dt, width=240) as show:
            for grey in range(40):
                show(np.full((30, 60, 3), 6 * grey, np.uint8))
        with Image.open(tmp_path / "a.gif") as image:
            assert image.size == (240, 120)
            seconds = getattr(image, "n_frames", 1) * image.info["duration"] / 1000
        assert seconds == pytest.approx(40 * dt, rel=0.05)
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]


@pytest.mark.parametrize("ending", [".mp4", ".webm", ".MP4"])
def test_a_film_runs_in_real_time_too(tmp_path: Path, ending: str) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    path = tmp_path / f"a{ending}"
    for dt, kept in ((0.05, 40), (0.01, 20)):
        with filming(path, dt) as show:
            for grey in range(40):
                show(np.full((30, 62, 3), 6 * grey, np.uint8))
        frames, seconds = ffmpeg.count_frames_and_secs(str(path))
        assert frames == kept
        assert seconds == pytest.approx(40 * dt, abs=dt)
        reader = ffmpeg.read_frames(str(path))
        assert next(reader)["size"] == (62, 30)
        shades = [np.frombuffer(frame, np.uint8).mean() for frame in reader]
        np.testing.assert_allclose(shades, np.arange(0, 240, 6 * 40 // kept), atol=8)
    assert [path.name for path in tmp_path.iterdir()] == [path.name]


def test_what_is_missing_for_a_film_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)  # as if it were not installed
    for ending in (".mp4", ".webm"):
        with pytest.raises(UserError, match=rf"{ending} needs.*pip install 'lagdyna\[video\]'"):
            check_video(tmp_path / f"a{ending}")
    check_video(tmp_path / "a.gif")
    (tmp_path / "b.gif").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match="which exists"):
        check_video(tmp_path / "b.gif")


def test_an_environment_that_draws_nothing_is_not_filmed() -> None:
    check_draws(SHORT)
    still = dataclasses.replace(PENDULUM, env_id="lagdyna-tests/Still-v0")
    with pytest.raises(UserError, match=r"'lagdyna-tests/Still-v0' draws nothing.*'rgb_array'"):
        check_draws(still)


def test_what_ffmpeg_says_is_passed_on(tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    told = pytest.raises(UserError, match=r"could not write '.*a\.mp4': .*width not divisible")
    with told, filming(tmp_path / "a.mp4", 0.05) as show:
        for _ in range(3):
            show(np.zeros((1, 1, 3), np.uint8))  # half of which, made even, is nothing
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", [".gif", ".mp4"])
def test_a_film_that_breaks_off_leaves_nothing(tmp_path: Path, ending: str) -> None:
    if ending == ".mp4":
        pytest.importorskip("imageio_ffmpeg")
    with pytest.raises(ZeroDivisionError), filming(tmp_path / f"a{ending}", 0.05) as show:
        show(np.zeros((30, 62, 3), np.uint8))
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("parts", [True, False])
def test_energies_are_drawn_whether_or_not_they_have_parts(tmp_path: Path, parts: bool) -> None:
    time, total = np.arange(5.0), np.ones(5)
    split: Any = (0.4 * total, 0.6 * total) if parts else (None, None)
    plot_energy(tmp_path / "a.png", time, total, 0 * total, *split, "title")
    with Image.open(tmp_path / "a.png") as image:
        assert len(np.unique(np.asarray(image.convert("L")))) > 10


@pytest.mark.parametrize("target", [None, -200.0])
def test_a_learning_curve_is_drawn_with_a_target_or_without(
    tmp_path: Path, target: float | None
) -> None:
    evaluation = {"env_steps": 10, "return_mean": -300.0, "return_std": 10.0}
    # As a run is read again in which something was no number.
    nothing = {"env_steps": 15, "return_mean": None, "return_std": None}
    record = {"evaluations": [evaluation, nothing], "env_steps": 20, "train_return": None}
    before = {**record, "train_return": -500.0}
    plot_learning_curve(tmp_path / "a.png", [before, record], "title", target)
    with Image.open(tmp_path / "a.png") as image:
        assert len(np.unique(np.asarray(image.convert("L")))) > 10


def test_an_episode_that_cannot_be_drawn_here_has_no_pictures() -> None:
    undrawable = dataclasses.replace(COUNTDOWN, env_id="lagdyna-tests/Undrawable-v0")
    shown: list[np.ndarray] = []
    rollout = record_rollout(undrawable, brake, 3, 100, shown.append)
    assert shown == []
    assert np.all(rollout.rewards == 1)
