"""Figure of the returns on each task."""

from pathlib import Path

from ...plot import BLUE, GREY, ORANGE, blank, finish, save
from .._reproduction import Results
from .._runs import plot_returns
from ._published import MODELS, PAPER, REACHED


def plot_returns_of_tasks(path: Path, results: Results) -> None:
    """Plot return against experience, a panel for each task, to a PNG file."""
    tasks = list(dict.fromkeys(kind.split(".")[0] for kind in results.parts))
    columns = min(len(tasks), 4)
    rows = -(-len(tasks) // columns)
    size = (3.2 * max(columns, 2), 2.6 * rows + 0.7)
    figure = blank(*size)
    grid = figure.subplots(rows, columns, squeeze=False)
    for task, axes in zip(tasks, grid.flat, strict=False):
        for model, colour in zip(MODELS, (BLUE, ORANGE), strict=True):
            if f"{task}.{model}" in results.parts:
                label = {"delan": "DeLaN", "mlp": "MLP"}[model]
                plot_returns(axes, results, f"{task}.{model}", colour, label)
        value = PAPER[task].delan.value
        axes.axhline(value, color=GREY, lw=1, label="paper's LNN")
        axes.axhline(REACHED * value, color=GREY, lw=1, ls=":", label="95 % of it")
        axes.set_title(task, fontsize=9)
        axes.set_xlim(0, None)
        axes.set_ylim(0, 1000)
        axes.xaxis.set_major_formatter(lambda steps, _: f"{steps / 1000:g}k")
        finish(axes)
    for axes in grid.flat[len(tasks) :]:
        axes.set_axis_off()
    for axes in grid[:, 0]:
        axes.set_ylabel("return")
    for axes in grid.flat[max(len(tasks) - columns, 0) : len(tasks)]:
        axes.set_xlabel("steps of experience")
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, ncols=4, loc="outside lower center")
    save(figure, path)
