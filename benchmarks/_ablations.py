"""Table and figure of the ablations: what each choice of the default agent is worth."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from _ledger import Stored
from _summaries import Row

from lagdyna.plot import BLUE, GREY, blank, finish, literal, save
from lagdyna.statistics import Improvement, improvement, interquartile_mean

DEFAULTS = "defaults"
HEADS = ("task", "change", "seeds", "return", "95 %", "default is better", "to 95 %")
HEADS += ("one-step error",)


class Ablation(NamedTuple):
    """Default agent of a task with one change, or none.

    **Attributes:** `task`; `change`, the label of its protocol; `row`, the summary of its
    runs; `runs`, the stored runs.
    """

    task: str
    change: str
    row: Row
    runs: list[Stored]

    @property
    def returns(self) -> np.ndarray:
        """Final return of each stored seed."""
        return np.asarray([run.final for run in self.runs])


def worth(ablation: Ablation, ablations: list[Ablation]) -> Improvement | None:
    """Compute the probability that a run with the defaults has the higher return.

    **Returns:** it and the ends of its 95 % interval; `None` for the defaults themselves, and
    where one of the two has a single seed or none.
    """
    pairs = [x for x in ablations if (x.task, x.change) == (ablation.task, DEFAULTS)]
    if ablation.change == DEFAULTS or not pairs:
        return None
    if min(len(ablation.runs), len(pairs[0].runs)) < 2:
        return None
    return improvement(pairs[0].returns, ablation.returns)


def in_order(ablations: list[Ablation]) -> list[Ablation]:
    """Order the stored ablations by task, the defaults first, then by falling return."""
    stored = [each for each in ablations if each.runs]
    return sorted(
        stored, key=lambda x: (x.task, x.change != DEFAULTS, -interquartile_mean(x.returns))
    )


def plot_ablations(path: Path, ablations: list[Ablation]) -> None:
    """Plot the return of each seed and their means, in a panel for each task, to a PNG file."""
    ablations = in_order(ablations)
    tasks = list(dict.fromkeys(each.task for each in ablations))
    if not tasks:
        return
    counts = [sum(each.task == task for each in ablations) for task in tasks]
    figure = blank(6.4, 0.26 * sum(counts) + 0.7 * len(tasks) + 0.4)
    grid = figure.subplots(len(tasks), 1, squeeze=False, height_ratios=counts)
    for axes, task in zip(grid.flat, tasks, strict=True):
        shown = [each for each in ablations if each.task == task]
        for place, each in enumerate(shown):
            colour = GREY if each.change == DEFAULTS else BLUE
            mean = interquartile_mean(each.returns)
            axes.plot(
                each.returns, [place] * len(each.runs), "o", color=colour, ms=4, alpha=0.5
            )
            axes.plot([mean], [place], "|", color=colour, ms=14, mew=2)
            if each.change == DEFAULTS:
                axes.axvline(mean, color=GREY, lw=1, ls="--")
        axes.set_yticks(range(len(shown)), [literal(spoken(x.change)) for x in shown])
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_title(literal(task), fontsize=8, loc="left")
        axes.tick_params(labelsize=8)
        finish(axes)
    label = "return of each seed (dots) and their interquartile mean (bars)"
    grid[-1, 0].set_xlabel(label, fontsize=8)
    save(figure, path)


def spoken(change: str) -> str:
    """Write the label of a change in words."""
    return change.replace("-", " ")
