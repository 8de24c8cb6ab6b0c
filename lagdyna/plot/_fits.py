"""Figures of fits: losses, phase portraits and errors of rollouts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Array, Float

from ._figure import (
    ANGLE_OR_LENGTH,
    BLUE,
    GREY,
    ORANGE,
    THEIR_SPEED,
    Axes,
    Figure,
    ManyAxes,
    finish,
    literal,
    panels,
)

_Rows = Float[np.ndarray, "_ n"] | Float[Array, "_ n"]
States = tuple[_Rows, _Rows]  # `q` and `qd`, also as a `State`

_COLUMNS = 4


def loss_curve(
    records: list[dict[str, Any]], *, title: str = "", axes: Axes | None = None
) -> Figure:
    """Plot the losses of a fit against updates.

    **Arguments:** `records`, the lines of `metrics.jsonl`, `fit.records` of a loaded fit;
    `axes`, to draw on.

    **Returns:** the figure.
    """
    canvas = panels(axes, (6.4, 4.0))
    drawn = canvas.axes[0]
    updates = [record["updates"] for record in records]
    for name, label, colour in (
        ("loss", "training", ORANGE),
        ("validation_loss", "validation", BLUE),
    ):
        losses = np.asarray([record[name] for record in records], float)
        drawn.semilogy(updates, losses, "o-", ms=3, color=colour, label=label)
    drawn.set(xlabel="updates", ylabel="loss (1: no variation predicted)", title=literal(title))
    canvas.legend(2)
    finish(drawn)
    return canvas.figure


def rollout_errors(
    runs: Mapping[str, Mapping[str, Any]],
    *,
    part: str = "validation",
    axes: ManyAxes | None = None,
) -> Figure:
    """Plot the errors of rollouts against their horizon, on axes for `q` and `qd`.

    **Arguments:** `runs`, by label the entry `rollout` of a part of a report, such as
    `fit.report["validation"]["rollout"]`; `part`, of the data; `axes`, two to draw on.

    **Returns:** the figure.
    """
    canvas = panels(axes, (8.0, 3.6), 2, 2)
    units = (ANGLE_OR_LENGTH, THEIR_SPEED)
    for drawn, name, unit in zip(canvas.axes, ("q", "qd"), units, strict=True):
        for i, (label, rollout) in enumerate(runs.items()):
            # The error of a rollout that diverged is `None`, which becomes `nan`.
            error = np.sqrt(np.mean(np.square(np.asarray(rollout[name], float)), axis=-1))
            look: dict[str, Any] = {"ms": 3, "color": f"C{i}", "label": literal(label)}
            drawn.loglog(rollout["seconds"], error, "o-", **look)
        drawn.set(xlabel="horizon / s", ylabel=f"error of {name} / {unit}")
        finish(drawn)
    if len(runs) > 1:
        canvas.legend(3)
    canvas.title(f"root mean square error of rollouts on {part} data")
    return canvas.figure


def phase_portrait(
    data: Sequence[States],
    rollouts: Sequence[States] = (),
    *,
    angles: Sequence[bool] | None = None,
    joints: Sequence[str] | None = None,
    title: str = "",
    axes: Axes | ManyAxes | None = None,
) -> Figure:
    """Plot velocities against coordinates, on axes for each coordinate.

    **Arguments:**

    - `data`: states of motions, each `q` and `qd` of shape `(time, n)`.
    - `rollouts`: predicted states of the same motions.
    - `angles`: for each coordinate, whether it is an angle, which is unwrapped.
    - `joints`: names of the coordinates.
    - `axes`: `n` to draw on.

    **Returns:** the figure.
    """
    n = np.shape(data[0][0])[1]
    angles = angles or [False] * n
    columns = min(n, _COLUMNS)
    rows = -(-n // _COLUMNS)
    canvas = panels(axes, (max(4.2, 3.6 * columns), 3.8 * rows), n, columns)
    for i, drawn in enumerate(canvas.axes):
        for k in range(len(data)):
            for states, style, colour, label in (
                (data[k], "-", GREY, "data"),
                (rollouts[k] if k < len(rollouts) else None, "--", BLUE, "rollout"),
            ):
                if states is None:
                    continue
                q, qd = (np.asarray(each)[:, i] for each in states)
                if angles[i]:
                    q = np.unwrap(q)
                    q = q - 2 * np.pi * np.round(q[0] / (2 * np.pi))
                shown = label if k == 0 else None
                drawn.plot(q, qd, style, color=colour, lw=1.2, label=shown)
        one, other = ("rad", "(rad/s)") if angles[i] else (ANGLE_OR_LENGTH, THEIR_SPEED)
        name = str(i) if joints is None else ""
        drawn.set(xlabel=f"q{name} / {one}", ylabel=f"qd{name} / {other}")
        if joints is not None:
            drawn.set(title=literal(joints[i]))
        finish(drawn)
    canvas.title("\n".join(map(literal, title.split("\n"))))
    canvas.legend(2)
    return canvas.figure
