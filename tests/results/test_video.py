"""Films of episodes."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lagdyna import UserError
from lagdyna.results import check_video, filming


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


def test_frames_that_are_left_out_are_not_rendered(tmp_path: Path) -> None:
    rendered = []
    with filming(tmp_path / "a.gif", 0.01) as show:
        for i in range(10):
            show(lambda i=i: rendered.append(i) or np.full((30, 60, 3), 20 * i, np.uint8))
    assert rendered == [0, 4, 8]


@pytest.mark.parametrize("ending", [".mp4", ".webm", ".MP4"])
def test_a_film_runs_in_real_time(tmp_path: Path, ending: str) -> None:
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


def test_a_film_that_cannot_be_written_is_refused_at_once(
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


def test_an_error_of_ffmpeg_is_passed_on(tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    raised = pytest.raises(
        UserError, match=r"could not write '.*a\.mp4': .*width not divisible"
    )
    with raised, filming(tmp_path / "a.mp4", 0.05) as show:
        for _ in range(3):
            show(np.zeros((1, 1, 3), np.uint8))  # rounded down to even sizes, 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", [".gif", ".mp4"])
def test_an_interrupted_film_leaves_no_file(tmp_path: Path, ending: str) -> None:
    if ending == ".mp4":
        pytest.importorskip("imageio_ffmpeg")
    with pytest.raises(ZeroDivisionError), filming(tmp_path / f"a{ending}", 0.05) as show:
        show(np.zeros((30, 62, 3), np.uint8))
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())
