"""The snippet of the home page runs as it is pasted, and prints what the page shows."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import lagdyna

TOP = Path(__file__).parents[2]
PAGE = TOP / "docs" / "index.md"


@pytest.fixture
def snippet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The text that the page includes, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    page = PAGE.read_text(encoding="utf-8")
    assert '--8<-- "examples/home.py:snippet"' in page
    text = (TOP / "examples" / "home.py").read_text(encoding="utf-8")
    return text.split("[start:snippet]\n")[1].split("# --8<--")[0]


def numbers(text: str) -> list[float]:
    return [float(x) for x in re.findall(r"\[+([-\d.]+)\]", text)]


def test_the_log_of_the_snippet_is_that_of_the_pendulum(
    snippet: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = []
    model = SimpleNamespace(mass_matrix=lambda q, qd: np.eye(1), gravity=lambda q: np.ones(1))
    names = vars(lagdyna)  # which are imported on first use
    monkeypatch.setitem(names, "fit", lambda file, out, angles: logs.append(np.load(file)))
    monkeypatch.setitem(names, "load_fit", lambda out: SimpleNamespace(model=model))
    exec(compile(snippet, "home.py", "exec"), {})
    (log,) = logs
    t, q, qd, qdd, tau = (log[name] for name in ("t", "q", "qd", "qdd", "tau"))
    np.testing.assert_allclose(np.gradient(q, t)[1:-1], qd[1:-1], atol=1e-3)
    np.testing.assert_allclose(np.gradient(qd, t)[1:-1], qdd[1:-1], atol=3e-3)
    energy = 0.125 * qd**2 - 4.905 * np.cos(q)
    np.testing.assert_allclose(np.gradient(energy, t)[1:-1], (tau * qd)[1:-1], atol=2e-2)
    found, shown = capsys.readouterr().out, (TOP / "docs/outputs/home.txt").read_text()
    assert re.sub(r"\[.*?\]+", "", found) == re.sub(r"\[.*?\]+", "", shown)


@pytest.mark.slow
def test_the_snippet_finds_the_pendulum(
    snippet: str, capsys: pytest.CaptureFixture[str]
) -> None:
    exec(compile(snippet, "home.py", "exec"), {})
    assert numbers(capsys.readouterr().out) == pytest.approx([0.25, 4.1275], rel=0.01)
