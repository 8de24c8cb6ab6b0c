"""Learning curves: of one run, of several seeds, and of several agents."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .._errors import UserError
from ..results import Curve, curves, evaluations_of
from ..statistics import interquartile_interval, interquartile_mean
from ._figure import BLUE, GREY, ORANGE, Axes, Figure, Panels, finish, literal, panels

Records = list[dict[str, Any]]


def learning_curve(
    records: Records, *, title: str = "", target: float | None = None, axes: Axes | None = None
) -> Figure:
    """Plot evaluation and training returns against environment steps.

    **Arguments:** `records`, the lines of `metrics.jsonl`, `run.records` of a loaded run;
    `target`, the target return, if the task has one; `axes`, to draw on.

    **Returns:** the figure.
    """
    canvas = panels(axes, (6.4, 4.0))
    drawn = canvas.axes[0]
    steps, mean = evaluations_of(records)
    evaluations = [entry for record in records for entry in record["evaluations"]]
    spread = np.asarray([entry["return_std"] for entry in evaluations], float)
    drawn.fill_between(steps, mean - spread, mean + spread, color=BLUE, alpha=0.15, lw=0)
    drawn.plot(steps, mean, "o-", color=BLUE, label="evaluation, mean ± std")
    ends = [record["env_steps"] for record in records]
    trained = np.asarray([record["train_return"] for record in records], float)
    drawn.plot(ends, trained, "x", color=ORANGE, label="training episode")
    return _finished(canvas, title, target)


def learning_curves(
    seeds: Sequence[Records | Curve],
    *,
    title: str = "",
    target: float | None = None,
    axes: Axes | None = None,
) -> Figure:
    """Plot the returns of several seeds, their interquartile mean and its bootstrap interval.

    **Arguments:**

    - `seeds`: for each seed the lines of `metrics.jsonl`, or the environment steps and the
        returns of its evaluations.
    - `target`: the target return, if the task has one.
    - `axes`: to draw on.

    **Returns:** the figure.
    """
    canvas = panels(axes, (6.4, 4.0))
    drawn = canvas.axes[0]
    steps, returns = _curves(seeds)
    for i, curve in enumerate(returns):
        label = "each seed" if i == 0 else None
        drawn.plot(steps, curve, color=GREY, lw=0.7, alpha=0.5, label=label)
    middle = [interquartile_mean(column) for column in returns.T]
    drawn.plot(steps, middle, "o-", ms=3, color=BLUE, label="interquartile mean")
    band = interquartile_interval(returns)
    if band is not None:
        drawn.fill_between(steps, *band, color=BLUE, alpha=0.2, lw=0, label="95 % bootstrap")
    return _finished(canvas, title, target)


def comparison(
    runs: Mapping[str, Sequence[Records | Curve]],
    *,
    title: str = "",
    target: float | None = None,
    axes: Axes | None = None,
) -> Figure:
    """Plot the interquartile means of several agents with their bootstrap intervals.

    **Arguments:** `runs`, for each label the seeds, as for [`lagdyna.plot.learning_curves`][];
    `target`, the target return, if the task has one; `axes`, to draw on.

    **Returns:** the figure.
    """
    canvas = panels(axes, (6.4, 4.2))
    drawn = canvas.axes[0]
    for i, (label, seeds) in enumerate(runs.items()):
        steps, returns = _curves(seeds)
        middle = [interquartile_mean(column) for column in returns.T]
        band = interquartile_interval(returns)
        named = f"{literal(label)}, {len(returns)} seed{'s' if len(returns) > 1 else ''}"
        drawn.plot(steps, middle, "o-", ms=3, color=f"C{i}", label=named)
        if band is not None:
            drawn.fill_between(steps, *band, color=f"C{i}", alpha=0.2, lw=0)
    return _finished(canvas, title, target, columns=1)


def _curves(seeds: Sequence[Records | Curve]) -> tuple[np.ndarray, np.ndarray]:
    """Find the steps and the returns of all seeds.

    **Raises:** `UserError` if there are none.
    """
    found = [_curve(each) for each in seeds]
    if not found or not all(len(steps) for steps, _ in found):
        raise UserError(
            f"`seeds` had {len(found)} runs, of which "
            f"{sum(not len(steps) for steps, _ in found)} have no evaluation; one or more runs "
            "with evaluations are accepted"
        )
    return curves(found)


def _curve(given: Records | Curve) -> Curve:
    return given if isinstance(given, tuple) else evaluations_of(given)


def _finished(canvas: Panels, title: str, target: float | None, columns: int = 4) -> Figure:
    """Add the target, the labels and the legend of a learning curve."""
    axes = canvas.axes[0]
    if target is not None:
        axes.axhline(target, color=GREY, ls="--", lw=1, label=f"target {target:g}")
    axes.set(xlabel="steps of real experience", ylabel="return", title=literal(title))
    axes.set_xlim(0, None)
    canvas.legend(columns)
    finish(axes)
    return canvas.figure
