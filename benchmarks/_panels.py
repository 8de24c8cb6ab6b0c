"""Figures of learning curves: a panel for each task."""

import math
from pathlib import Path
from typing import NamedTuple

from lagdyna.plot import BLUE, GREEN, GREY, ORANGE, blank, finish, literal, save
from lagdyna.plot._figure import Axes
from lagdyna.results import Curve, curves
from lagdyna.statistics import interquartile_interval, interquartile_mean

_MORE = ("#7a3b9a", "#a8291f", "#5c4a3d", "#1f9aa8", "#b8a01f", "#d0609b")
_COLOURS = (BLUE, ORANGE, GREEN, *_MORE)
_COLUMNS = 3
_FAR = 5  # ratio of lengths of runs from which on steps have a logarithmic axis
_WIDTH = 2.4  # of a panel, inches: a row of three keeps its letters legible on a page


class Panel(NamedTuple):
    """Learning curves of a task.

    **Attributes:** `title`; `steps`, those of the longest run; `curves`, learning curves of all
    seeds by label; `lines`, reference returns by label.
    """

    title: str
    steps: int
    curves: dict[str, list[Curve]]
    lines: dict[str, float]


def plot_panels(path: Path, panels: list[Panel]) -> None:
    """Plot interquartile means over seeds, with 95 % bootstrap bands, to a PNG file.

    Tasks without a stored run have no panel.
    """
    panels = [panel for panel in panels if any(panel.curves.values())] or panels[:1]
    columns = min(len(panels), _COLUMNS)
    rows = math.ceil(len(panels) / columns)
    width = max(_WIDTH * columns, 6.4)
    figure = blank(width, 2.6 * rows + 0.9)
    grid = figure.subplots(rows, columns, squeeze=False)
    labels = dict.fromkeys(x for panel in panels for x, seeds in panel.curves.items() if seeds)
    colours = dict(zip(labels, _COLOURS, strict=False))
    handles, bands = {}, {}
    for axes, panel in zip(grid.flat, panels, strict=False):
        for label, seeds in panel.curves.items():
            if not seeds:
                continue
            steps, returns = curves(seeds)
            middle = [interquartile_mean(column) for column in returns.T]
            colour = colours.get(label, GREY)
            (handles[label],) = axes.plot(steps, middle, color=colour, lw=1.4)
            band = interquartile_interval(returns)
            if band is not None:
                shade = axes.fill_between(steps, *band, color=colour, alpha=0.15, lw=0)
                bands.setdefault("95 % interval", shade)
        for label, value in panel.lines.items():
            handles[label] = axes.axhline(value, color=GREY, lw=1, ls="--")
        axes.set_title(f"{literal(panel.title)}\n{_seeds(panel)}", fontsize=8)
        if not any(panel.curves.values()):
            axes.text(0.5, 0.2, "no run stored", transform=axes.transAxes, ha="center")
        _scale_steps(axes, panel)
        axes.tick_params(labelsize=7)
        finish(axes)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    for axes in grid[:, 0]:
        axes.set_ylabel("return", fontsize=8)
    for axes in grid.flat[max(len(panels) - columns, 0) : len(panels)]:
        axes.set_xlabel("environment steps", fontsize=8)
    handles |= bands
    figure.legend(
        [*handles.values()],
        [*handles],
        frameon=False,
        fontsize=8,
        ncols=min(len(handles), _legend_columns(width, [*handles])),
        loc="outside lower center",
    )
    save(figure, path)


def _scale_steps(axes: Axes, panel: Panel) -> None:
    """Scale the axis of steps; by logarithms where some runs are far shorter than others."""
    steps = [seed[0] for seeds in panel.curves.values() for seed in seeds]
    ends = [each[-1] for each in steps]
    if ends and max(ends) > _FAR * min(ends):
        axes.set_xscale("log")
        axes.set_xlim(min(each[0] for each in steps), panel.steps)
    else:
        axes.set_xlim(0, panel.steps)
        axes.locator_params(axis="x", nbins=5)
    if panel.steps >= 2000:
        axes.xaxis.set_major_formatter(lambda steps, _: _thousands(steps))


def _thousands(steps: float) -> str:
    return f"{steps:g}" if 0 < steps < 1000 else f"{steps / 1000:g}k"


def _seeds(panel: Panel) -> str:
    """Say how many seeds the curves of a panel have."""
    counts = sorted({len(seeds) for seeds in panel.curves.values() if seeds}) or [0]
    found = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    return f"{found} seed" if found == "1" else f"{found} seeds"


def _legend_columns(width: float, labels: list[str]) -> int:
    """Find how many labels of 8 points fit beside one another, each with its line."""
    widest = 0.6 + 0.07 * max(map(len, labels), default=0)
    return max(1, int(width / widest))
