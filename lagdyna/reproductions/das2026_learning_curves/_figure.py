"""Figure of the learning curves."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Real

from ...plot import BLUE, GREEN, GREY, ORANGE, blank, finish, save
from .._reproduction import Results
from ._problem import TASKS

if TYPE_CHECKING:
    import matplotlib.axes


# Learner: label, colour and line of its curve.
Style = tuple[str, str, str]
_STYLES: Mapping[str, Style] = MappingProxyType(
    {
        "adam": ("Adam", "#222222", "-"),
        "ekf": ("EKF", BLUE, "-"),
        "ekf-block": ("EKF, a block per layer", "#5b9bd5", "--"),
        "ekf-lowrank": ("EKF, low rank", "#7a5ba8", "-."),
        "ekf-diagonal": ("EKF, diagonal", GREY, ":"),
        "ckf": ("cubature", GREEN, "-"),
        "ukf": ("unscented", "#7fbf9b", "--"),
        "enkf": ("ensemble", ORANGE, "-"),
        "pf": ("particles", "#a8443a", "--"),
    }
)


def plot_curves(path: Path, results: Results, sizes: tuple[int, ...]) -> None:
    """Plot the error of each learner against updates, seconds and data, one row per task.

    **Arguments:** `path`, a PNG file; `sizes`, numbers of steps of data for the axis.
    """
    figure = blank(10.5, 2.9 * len(TASKS) + 0.9)
    grid = figure.subplots(len(TASKS), 3, sharey="row", squeeze=False)
    for task, (updates, seconds, data) in zip(TASKS, grid, strict=True):
        for learner, style in _STYLES.items():
            parts = results.parts[f"{learner}.{task}"]
            stack = lambda name, parts=parts: np.stack([p[name] for p in parts])  # noqa: E731
            _plot_band(updates, parts[0]["updates"], stack("error"), style)
            _plot_band(seconds, stack("seconds").mean(0), stack("error"), style)
            if parts[0]["sizes"].size > 1:
                _plot_band(data, parts[0]["sizes"], stack("error_of_size"), style, "o")
        last = np.median([part["error"][-1] for part in results.parts[f"adam.{task}"]])
        for axes in (updates, seconds):
            axes.axhline(float(last), color=GREY, lw=0.8, zorder=0)
        updates.set_ylabel(f"{task}\none-step error / one-step change")
        updates.set_ylim(None, 2.0)  # the first steps of filters can be far off
    for axes, title in zip(grid[0], ("updates", "seconds", "data, at the end"), strict=True):
        axes.set_title(f"against {title}")
    for axes, label in zip(grid[-1], ("updates", "seconds", "steps of data"), strict=True):
        axes.set_xlabel(label)
    for axes in grid.flat:
        finish(axes)
    for axes in grid[:, 2]:
        axes.set_xticks(sizes, [str(size) for size in sizes], minor=False)
        axes.set_xticks([], minor=True)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, ncols=5, loc="outside lower center")
    seeds = len(results.parts[f"adam.{TASKS[0]}"])
    figure.suptitle(f"median and range of {seeds} seeds" if seeds > 1 else "one seed")
    save(figure, path)


def _plot_band(
    axes: "matplotlib.axes.Axes",
    x: Real[np.ndarray, " points"],
    error: Float[np.ndarray, "seeds points"],
    style: Style,
    marker: str = "",
) -> None:
    """Plot the median over seeds and their range."""
    label, colour, line = style
    error = np.where(np.isfinite(error), error, 1e9)  # beyond the axis
    axes.fill_between(x, error.min(0), error.max(0), color=colour, alpha=0.15, lw=0)
    look = {"marker": marker, "ms": 4, "lw": 1.4, "color": colour, "label": label}
    axes.loglog(x, np.median(error, axis=0), line, **look)
