"""Figures of runs, without Matplotlib's global state.

Matplotlib is imported by `blank` alone, since most commands draw nothing.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Integer

from ..statistics import interquartile_interval, interquartile_mean
from ._curves import evaluations_of
from ._files import replacing

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

BLUE, ORANGE, GREEN, GREY = "#1f5fa8", "#d9731a", "#2d8a57", "#6b6b6b"


def plot_learning_curve(
    path: Path, records: list[dict[str, Any]], title: str, target: float | None
) -> None:
    """Plot evaluation and training returns against environment steps.

    **Arguments:** `path`, a PNG file; `records`, the lines of `metrics.jsonl`; `target`, the
    target return, if the task has one.
    """
    figure = blank(6.4, 4.0)
    axes = figure.subplots()
    steps, mean = evaluations_of(records)
    evaluations = [entry for record in records for entry in record["evaluations"]]
    spread = np.asarray([entry["return_std"] for entry in evaluations], float)
    axes.fill_between(steps, mean - spread, mean + spread, color=BLUE, alpha=0.15, lw=0)
    axes.plot(steps, mean, "o-", color=BLUE, label="evaluation, mean ± std")
    ends = [record["env_steps"] for record in records]
    trained = np.asarray([record["train_return"] for record in records], float)
    axes.plot(ends, trained, "x", color=ORANGE, label="training episode")
    _save_curve(figure, axes, path, title, target)


def plot_learning_curves(
    path: Path,
    steps: Integer[np.ndarray, " times"],
    middle: Sequence[float],
    interval: tuple[Float[np.ndarray, " times"], Float[np.ndarray, " times"]] | None,
    returns: Float[np.ndarray, "seeds times"],
    title: str,
    target: float | None,
) -> None:
    """Plot the returns of several seeds and their interquartile mean.

    **Arguments:**

    - `path`: a PNG file.
    - `steps`: environment steps of the evaluations.
    - `middle`, `interval`: interquartile mean and the ends of its bootstrap interval.
    - `returns`: of each seed.
    - `target`: the target return, if the task has one.
    """
    figure = blank(6.4, 4.0)
    axes = figure.subplots()
    for i, curve in enumerate(returns):
        label = "each seed" if i == 0 else None
        axes.plot(steps, curve, color=GREY, lw=0.7, alpha=0.5, label=label)
    axes.plot(steps, middle, "o-", ms=3, color=BLUE, label="interquartile mean")
    if interval is not None:
        axes.fill_between(steps, *interval, color=BLUE, alpha=0.2, lw=0, label="95 % bootstrap")
    _save_curve(figure, axes, path, title, target)


def plot_comparison(
    path: Path,
    curves: list[tuple[str, Integer[np.ndarray, " _"], Float[np.ndarray, "_ _"]]],
    title: str,
    target: float | None,
) -> None:
    """Plot the interquartile means of several runs with their bootstrap intervals.

    **Arguments:** `path`, a PNG file; `curves`, for each run its label, its environment steps
    and the returns of its seeds; `target`, the target return, if the task has one.
    """
    figure = blank(6.4, 4.2)
    axes = figure.subplots()
    for i, (label, steps, returns) in enumerate(curves):
        middle = [interquartile_mean(column) for column in returns.T]
        band = interquartile_interval(returns)
        named = f"{literal(label)}, {len(returns)} seed{'s' if len(returns) > 1 else ''}"
        axes.plot(steps, middle, "o-", ms=3, color=f"C{i}", label=named)
        if band is not None:
            axes.fill_between(steps, *band, color=f"C{i}", alpha=0.2, lw=0)
    _save_curve(figure, axes, path, title, target, columns=1)


def _save_curve(
    figure: "matplotlib.figure.Figure",
    axes: "matplotlib.axes.Axes",
    path: Path,
    title: str,
    target: float | None,
    columns: int = 4,
) -> None:
    """Add the target, the labels and the legend of a learning curve, and save it."""
    if target is not None:
        axes.axhline(target, color=GREY, ls="--", lw=1, label=f"target {target:g}")
    axes.set(xlabel="steps of real experience", ylabel="return", title=literal(title))
    axes.set_xlim(0, None)
    figure.legend(frameon=False, ncols=columns, loc="outside lower center")
    finish(axes)
    save(figure, path)


def literal(text: str) -> str:
    """Escape a name, in which Matplotlib would take dollars for mathematics."""
    shown = "".join(each if each.isprintable() else "?" for each in text)
    return shown.replace("$", r"\$")


def plot_energy(
    path: Path,
    seconds: Float[np.ndarray, " time"],
    total: Float[np.ndarray, " time"],
    work: Float[np.ndarray, " time"],
    kinetic: Float[np.ndarray, " time"] | None,
    potential: Float[np.ndarray, " time"] | None,
    title: str,
) -> None:
    """Plot the learned energies along a rollout and the work of the actuators.

    Without friction, the total energy and the work differ by a constant. Both lines start at
    the same value.

    **Arguments:**

    - `path`: a PNG file.
    - `seconds`: times of the states.
    - `total`, `work`: total energy, and work of the actuators since the start, J.
    - `kinetic`, `potential`: parts of the energy, J; `None` if the model does not have them.
    """
    figure = blank(6.4, 4.0)
    axes = figure.subplots()
    zero = total.min() if potential is None else potential.min()
    if kinetic is not None:
        axes.plot(seconds, kinetic, color=ORANGE, lw=1, label="kinetic")
    if potential is not None:
        axes.plot(seconds, potential - zero, color=GREEN, lw=1, label="potential")
    axes.plot(seconds, total - zero, color=BLUE, label="total")
    start = total[0] - zero
    axes.plot(seconds, start + work, "--", color=GREY, lw=1, label="start + work done")
    axes.set(xlabel="time / s", ylabel="learned energy / J", title=literal(title))
    figure.legend(frameon=False, ncols=4, loc="outside lower center")
    finish(axes)
    save(figure, path)


def blank(width: float, height: float) -> "matplotlib.figure.Figure":
    """Create an empty figure; sizes are in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def finish(axes: "matplotlib.axes.Axes") -> None:
    """Apply lagdyna's style to axes."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, lw=0.5)


def save(figure: "matplotlib.figure.Figure", path: Path) -> None:
    """Write a figure to a PNG file, which is replaced as a whole."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130)
