"""Figures of a fit, and of several in one plot."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..results import BLUE, GREEN, GREY, ORANGE, blank, finish, literal, save
from ._evaluation import Drawn, Motion, Torques

_MOST_MOTIONS = 4


def draw_fit(out: Path, drawn: Drawn, records: list[dict[str, Any]], title: str) -> None:
    """Draw every figure of a fit that its data and its model allow.

    **Arguments:** `out`, the directory; `drawn`, the content; `records`, the lines of
    `metrics.jsonl`; `title`, the model's name.
    """
    name, title = title, literal(title)
    _learning(out / "learning_curve.png", records, title)
    _phase(out / "phase.png", drawn, title)
    plot_rollout_errors(out / "rollout_error.png", {name: drawn.rollout}, drawn.part)
    if drawn.torques is not None:
        plot_torques(
            out / "torque.png",
            drawn.torques,
            drawn.t,
            title,
            f"along a {drawn.part} trajectory",
            drawn.joints,
        )
    if drawn.motions[0].energy is not None:
        _energy(out / "energy.png", drawn.motions, title)


def plot_rollout_errors(
    path: Path, runs: dict[str, dict[str, Any]], part: str = "validation"
) -> None:
    """Plot the errors of rollouts against their horizon, in panels for `q` and `qd`.

    **Arguments:** `path`, a PNG file; `runs`, the entry `rollout` of each report, by label;
    `part`, of the data.
    """
    figure = blank(8.0, 3.6)
    for axes, name, unit in zip(
        figure.subplots(1, 2), ("q", "qd"), ("rad or m", "rad/s or m/s"), strict=True
    ):
        for i, (label, rollout) in enumerate(runs.items()):
            # The error of a rollout that diverged is `None`, which becomes `nan`.
            error = np.sqrt(np.mean(np.square(np.asarray(rollout[name], float)), axis=-1))
            axes.loglog(
                rollout["seconds"], error, "o-", ms=3, color=f"C{i}", label=literal(label)
            )
        axes.set(xlabel="horizon / s", ylabel=f"error of {name} / ({unit})")
        finish(axes)
    if len(runs) > 1:
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, frameon=False, ncols=3, loc="outside lower center")
    figure.suptitle(f"root mean square error of rollouts on {part} data")
    save(figure, path)


def _learning(path: Path, records: list[dict[str, Any]], title: str) -> None:
    figure = blank(6.4, 4.0)
    axes = figure.subplots()
    updates = [record["updates"] for record in records]
    for name, label, colour in (
        ("loss", "training", ORANGE),
        ("validation_loss", "validation", BLUE),
    ):
        losses = np.asarray([record[name] for record in records], float)
        axes.semilogy(updates, losses, "o-", ms=3, color=colour, label=label)
    axes.set(xlabel="updates", ylabel="loss (1: no variation predicted)", title=title)
    figure.legend(frameon=False, ncols=2, loc="outside lower center")
    finish(axes)
    save(figure, path)


def _phase(path: Path, drawn: Drawn, title: str) -> None:
    coordinates, motions = drawn.coordinates, drawn.motions
    n = coordinates.n
    figure = blank(max(4.2, 3.6 * min(n, 4)), 3.8 * -(-n // 4))
    panels = figure.subplots(-(-n // 4), min(n, 4), squeeze=False).ravel()
    for i, axes in enumerate(panels[:n]):
        for k, motion in enumerate(motions[:_MOST_MOTIONS]):
            for states, style, colour, label in (
                (motion.states, "-", GREY, "data"),
                (motion.predicted, "--", BLUE, "rollout"),
            ):
                q = np.asarray(states.q)[:, i]
                q = np.unwrap(q) if coordinates.angles[i] else q
                q = q - 2 * np.pi * np.round(q[0] / (2 * np.pi)) if coordinates.angles[i] else q
                axes.plot(
                    q,
                    np.asarray(states.qd)[:, i],
                    style,
                    color=colour,
                    lw=1.2,
                    label=label if k == 0 and i == 0 else None,
                )
        if drawn.joints is None:
            axes.set(xlabel=f"q{i}", ylabel=f"qd{i}")
        else:
            axes.set(xlabel="q", ylabel="qd", title=literal(drawn.joints[i]))
        finish(axes)
    for axes in panels[n:]:
        axes.set_visible(False)
    figure.suptitle(f"{title}: {drawn.part} data and rollouts from their initial states")
    figure.legend(frameon=False, ncols=2, loc="outside lower center")
    save(figure, path)


def plot_torques(
    path: Path,
    torques: Torques,
    t: np.ndarray,
    title: str,
    where: str = "along a validation trajectory",
    joints: Sequence[str] | None = None,
) -> None:
    """Plot recorded and predicted forces and the parts of the latter, a panel per coordinate.

    The parts add up to the predicted force: what the Lagrangian does not explain is friction,
    and a residual if the model has one.

    **Arguments:** `path`, a PNG file; `t`, seconds, shape `(rows,)`; `where`, a phrase for the
    title; `joints`, names of the coordinates.
    """
    n = torques.recorded.shape[1]
    figure = blank(7.2, 2.2 + 1.8 * n)
    panels = figure.subplots(n, 1, sharex=True, squeeze=False).ravel()
    friction = torques.predicted - sum(torques.parts)
    lines = (
        (torques.recorded, "recorded", GREY, "-", 2.2),
        (torques.predicted, "model", BLUE, "--", 1.4),
        (torques.parts.inertial, "inertial", ORANGE, "-", 0.9),
        (torques.parts.coriolis, "Coriolis", GREEN, "-", 0.9),
        (torques.parts.conservative, "conservative", "#8a4fa0", "-", 0.9),
        (friction, "friction, residual", "#b03a3a", "-", 0.9),
    )
    for i, axes in enumerate(panels):
        for values, label, colour, style, width in lines:
            axes.plot(
                t,
                values[:, i],
                style,
                color=colour,
                lw=width,
                label=label if i == 0 else None,
            )
        if joints is None:
            axes.set(ylabel=f"force {i} / (N m or N)")
        else:
            axes.set(ylabel="force / (N m or N)", title=literal(joints[i]))
        finish(axes)
    panels[-1].set(xlabel="time / s")
    figure.suptitle(f"{title}: forces {where}")
    figure.legend(frameon=False, ncols=6, loc="outside lower center")
    save(figure, path)


def _energy(path: Path, motions: list[Motion], title: str) -> None:
    figure = blank(6.4, 4.0)
    axes = figure.subplots()
    for k, motion in enumerate(motions[:_MOST_MOTIONS]):
        assert motion.energy is not None
        assert motion.predicted_energy is not None
        zero = motion.energy[0]
        for values, style, label in (
            (motion.energy, "-", "along the data"),
            (motion.predicted_energy, "--", "along the rollout"),
        ):
            axes.plot(
                motion.t - motion.t[0],
                values - zero,
                style,
                color=f"C{k}",
                lw=1.2,
                label=label if k == 0 else None,
            )
    axes.set(xlabel="time / s", ylabel="change of learned energy / J", title=title)
    figure.legend(frameon=False, ncols=2, loc="outside lower center")
    finish(axes)
    save(figure, path)
