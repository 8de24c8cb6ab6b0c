"""Recordings of real machines in `examples/data`: small, readable, with source and licence."""

import re
from pathlib import Path

import numpy as np
import pytest

from lagdyna.data import read

FOLDER = Path(__file__).parents[2] / "examples" / "data"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("name", "joints", "rows", "step"),
    [("ur10", 6, [3441], 0.008), ("double_pendulum", 2, None, 0.004)],
)
def test_recordings_are_small_and_readable(name, joints, rows, step):
    path = FOLDER / f"{name}.npz"
    assert path.stat().st_size < 300_000
    found = read(path)
    assert found.fields == ("t", "q", "qd", "tau")
    assert found.joints is not None
    assert len(found.joints) == joints
    assert rows in (None, [each.rows for each in found])
    for each in found:
        assert np.median(np.diff(each.t)) == pytest.approx(step, rel=1e-3)
        # Velocities are those of the positions, so that units and order are right.
        moved = np.diff(each.q, axis=0)
        mean = np.diff(each.t)[:, None] * (each.qd[1:] + each.qd[:-1]) / 2
        assert np.corrcoef(moved[:, 0], mean[:, 0])[0, 1] > 0.9


def test_each_recording_has_its_source_and_licence():
    page = (FOLDER / "README.md").read_text()
    for path in FOLDER.iterdir():
        assert path.name in (*re.findall(r"[\w./-]+", page), "README.md")
        if path.name.startswith("LICENSE"):
            assert path.read_text().startswith("BSD 3-Clause License\n\nCopyright (c) 20")


def test_the_code_of_the_page_divides_the_double_pendulum(tmp_path, monkeypatch):
    (tmp_path / "examples").symlink_to(FOLDER.parent)
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", (FOLDER / "README.md").read_text(), re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    assert [len(read(name)) for name in ("learn.npz", "test.npz")] == [6, 2]
    assert read("test.npz").joints == ("shoulder", "elbow")
