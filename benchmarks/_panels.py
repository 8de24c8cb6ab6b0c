"""Figures of learning curves: a panel for each task."""

import math
from pathlib import Path
from typing import NamedTuple

from lagdyna.plot import BLUE, GREEN, GREY, ORANGE, blank, finish, literal, save
from lagdyna.results import Curve, curves
from lagdyna.statistics import interquartile_interval, interquartile_mean

_COLOURS = (BLUE, ORANGE, GREEN, "#7a3b9a", "#a8291f", "#5c4a3d", "#1f9aa8", "#b8a01f")
_COLUMNS = 4


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
    figure = blank(max(3.2 * columns, 6.4), 2.6 * rows + 0.9)
    grid = figure.subplots(rows, columns, squeeze=False)
    labels = dict.fromkeys(label for panel in panels for label in panel.curves)
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
        counts = ", ".join(str(len(seeds)) for seeds in panel.curves.values())
        axes.set_title(f"{literal(panel.title)}\nseeds: {counts}", fontsize=8)
        if not any(panel.curves.values()):
            axes.text(0.5, 0.2, "no run stored", transform=axes.transAxes, ha="center")
        axes.tick_params(labelsize=7)
        axes.set_xlim(0, panel.steps)
        if panel.steps >= 2000:
            axes.xaxis.set_major_formatter(lambda steps, _: f"{steps / 1000:g}k")
        finish(axes)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    for axes in grid[:, 0]:
        axes.set_ylabel("return")
    for axes in grid.flat[max(len(panels) - columns, 0) : len(panels)]:
        axes.set_xlabel("environment steps", fontsize=8)
    handles |= bands
    figure.legend(
        [*handles.values()], [*handles], frameon=False, ncols=4, loc="outside lower center"
    )
    save(figure, path)
