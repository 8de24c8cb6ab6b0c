"""Figures from data: on given axes or new ones, with units, in files of three formats."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from lagdyna import UserError, plot
from lagdyna.mechanics import State

T = np.linspace(0, 1, 21)
Q = np.stack([3 * T, np.sin(5 * T)], 1)
ERRORS = {"seconds": [0.1, 0.2], "q": [[0.1, 0.2], [None, 0.3]], "qd": [[1.0, 2.0], [2.0, 3.0]]}
# A file of metrics has null in place of a number that was not finite.
RECORDS: list[dict[str, Any]] = [
    {
        "env_steps": 20 * i,
        "train_return": None if i == 2 else -500.0,
        "evaluations": [
            {"env_steps": 20 * i - 5, "return_mean": -300.0 + i, "return_std": 10.0},
            {"env_steps": 20 * i, "return_mean": None, "return_std": None},
        ],
    }
    for i in (1, 2)
]
LOSSES = [{"updates": i, "loss": 1 / i, "validation_loss": None} for i in (1, 2)]
LIMITS = {"lower": [-4.0, -4.0], "upper": [4.0, 4.0], "speed": [9.0, 9.0]}
STATES = State(Q, 2 * Q)  # pyright: ignore[reportArgumentType]
LIMITS = {name: np.asarray(values) for name, values in LIMITS.items()}

# For each figure how many axes it has, and units or quantities that its axes must name.
FIGURES: dict[str, tuple[Callable[..., Figure], int, set[str]]] = {
    "learning_curve": (
        lambda axes: plot.learning_curve(RECORDS, title="a$b", target=-200.0, axes=axes),
        1,
        {"steps of real experience", "return"},
    ),
    "learning_curves": (
        lambda axes: plot.learning_curves([RECORDS], axes=axes),
        1,
        {"steps of real experience", "return"},
    ),
    "comparison": (
        lambda axes: plot.comparison(
            {"one": [RECORDS], "other": [(np.asarray([20]), np.asarray([-9.0]))]}, axes=axes
        ),
        1,
        {"steps of real experience", "return"},
    ),
    "energies": (
        lambda axes: plot.energies(T, T, 0 * T, kinetic=T, potential=0 * T, axes=axes),
        1,
        {"time / s", "learned energy / J"},
    ),
    "energy_changes": (
        lambda axes: plot.energy_changes([(T, T, T), (T[:9], T[:9], T[:9])], axes=axes),
        1,
        {"time / s", "change of learned energy / J"},
    ),
    "loss_curve": (lambda axes: plot.loss_curve(LOSSES, axes=axes), 1, {"updates"}),
    "rollout_errors": (
        lambda axes: plot.rollout_errors({"a": ERRORS, "b$": ERRORS}, axes=axes),
        2,
        {"horizon / s", "error of q / (rad or m)", "error of qd / (rad/s or m/s)"},
    ),
    "phase_portrait": (
        lambda axes: plot.phase_portrait(
            [STATES, STATES], [STATES], angles=(True, False), axes=axes
        ),
        2,
        {"q0 / rad", "qd0 / (rad/s)", "q1 / (rad or m)", "qd1 / (rad/s or m/s)"},
    ),
    "torques": (
        lambda axes: plot.torques(T, Q, Q + 0.1, (Q, 0 * Q, 0 * Q), axes=axes),
        2,
        {"force 0 / (N m or N)", "force 1 / (N m or N)", "time / s"},
    ),
    "plan": (
        lambda axes: plot.plan(
            Q,
            Q[1:, :1],
            angles=(True, False),
            goal=np.zeros(2),
            limits=([-1.0], [1.0]),
            axes=axes,
        ),
        3,
        {"q[0] / rad", "q[1] / (rad or m)", "action 0", "step"},
    ),
    "excitation": (
        lambda axes: plot.excitation(T, Q, 3 * Q, joints=("a", "b$"), axes=axes, **LIMITS),
        4,
        {"t / s"},
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_drawn_on_given_axes_or_new_ones(name: str, tmp_path: Path) -> None:
    draw, count, labels = FIGURES[name]
    made = draw(None)
    mine = Figure()
    axes = mine.subplots(1, count)
    assert draw(axes) is mine
    for figure in (made, mine):
        drawn = [each for each in figure.axes if each.get_visible()]
        assert len(drawn) == count
        assert labels <= {x for a in drawn for x in (a.get_xlabel(), a.get_ylabel())}
    # The same lines are on both.
    for one, other in zip(made.axes, mine.axes, strict=True):
        assert len(one.lines) == len(other.lines) > 0
        for a, b in zip(one.lines, other.lines, strict=True):
            np.testing.assert_array_equal(a.get_xydata(), b.get_xydata())  # pyright: ignore[reportArgumentType]
    plot.save(made, tmp_path / "made.png")
    with Image.open(tmp_path / "made.png") as image:
        assert len(np.unique(np.asarray(image.convert("L")))) > 10


def test_each_public_figure_is_tested() -> None:
    page = Path(__file__).parents[2] / "docs" / "api" / "plot.md"
    named = re.findall(r"::: lagdyna\.plot\.(\w+)", page.read_text("utf-8"))
    assert set(named) - {"blank", "finish", "literal", "save"} == set(FIGURES)


def test_what_a_figure_shows_are_its_data() -> None:
    axes = plot.learning_curve(RECORDS, target=-200.0).axes[0]
    mean, trained, target = axes.lines
    np.testing.assert_array_equal(mean.get_ydata(), [-299, np.nan, -298, np.nan])  # pyright: ignore[reportArgumentType]
    np.testing.assert_array_equal(trained.get_xdata(), [20, 40])  # pyright: ignore[reportArgumentType]
    assert set(np.asarray(target.get_ydata())) == {-200}
    # An angle that winds is drawn without jumps, and begins near 0.
    angle = (2 * np.pi * 3 + 4 * T)[:, None]
    wrapped = (angle + np.pi) % (2 * np.pi) - np.pi
    line = plot.phase_portrait([(wrapped, wrapped)], angles=(True,)).axes[0].lines[0]
    np.testing.assert_allclose(np.asarray(line.get_xdata()), 4 * T, atol=1e-12)
    # Friction is what the parts leave of the predicted force.
    parts = (0.5 * Q, 0.2 * Q, 0.1 * Q)
    friction = plot.torques(T, Q, Q, parts).axes[0].lines[-1]
    np.testing.assert_allclose(np.asarray(friction.get_ydata()), 0.2 * Q[:, 0], atol=1e-12)


def test_a_wrong_number_of_axes_is_refused() -> None:
    axes = Figure().subplots(1, 3)
    with pytest.raises(UserError, match="`axes` had 3 axes; this figure has 2"):
        plot.torques(T, Q, Q, axes=[*axes])


@pytest.mark.parametrize(
    ("suffix", "begins"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")]
)
def test_the_suffix_is_the_format(suffix: str, begins: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    for _ in range(2):  # a second time it is replaced, by the same bytes
        before = path.read_bytes() if path.exists() else None
        plot.save(plot.torques(T, Q, Q), path)
        assert path.read_bytes().startswith(begins)
        assert before in (None, path.read_bytes())
    assert b"/Type3" not in path.read_bytes()
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_other_suffixes_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    for name in ("a.jpg", "a"):
        with pytest.raises(UserError, match=r"ends in \.png, \.pdf, \.svg is accepted"):
            plot.save(plot.torques(T, Q, Q), tmp_path / name)
    assert not [*tmp_path.iterdir()]
    with pytest.raises(UserError, match="cannot be written"):
        plot.save(plot.torques(T, Q, Q), tmp_path / "missing" / "a.png")


def test_matplotlib_waits_for_a_figure_and_its_settings_are_left_alone(tmp_path: Path) -> None:
    code = (
        "import sys, lagdyna\n"
        "draw = lagdyna.plot.loss_curve\n"
        "assert 'matplotlib' not in sys.modules\n"
        "draw([{'updates': 1, 'loss': 1.0, 'validation_loss': 1.0}])\n"
        "import matplotlib\n"
        "ours = ('pdf.fonttype', 'svg.hashsalt')\n"
        "before = [matplotlib.rcParams[name] for name in ours]\n"
        "figure = draw([{'updates': 1, 'loss': 1.0, 'validation_loss': 1.0}])\n"
        "lagdyna.plot.save(figure, sys.argv[1])\n"
        "assert [matplotlib.rcParams[name] for name in ours] == before\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.pdf")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("seeds", [[], [(np.zeros(0, int), np.zeros(0))]])
def test_runs_without_evaluations_have_no_learning_curves(seeds: Any) -> None:
    for draw in (plot.learning_curves, lambda each: plot.comparison({"a": each})):
        with pytest.raises(UserError, match="one or more runs with evaluations are accepted"):
            draw(seeds)
