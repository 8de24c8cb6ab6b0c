"""Recorded and predicted forces."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Array, Float

from ._figure import (
    BLUE,
    FORCE,
    GREEN,
    GREY,
    ORANGE,
    Axes,
    Figure,
    ManyAxes,
    finish,
    literal,
    panels,
)

Forces = Float[np.ndarray, "time n"] | Float[Array, "time n"]


def torques(
    t: Float[np.ndarray, " time"] | Float[Array, " time"],
    recorded: Forces,
    predicted: Forces,
    parts: tuple[Forces, Forces, Forces] | None = None,
    *,
    joints: Sequence[str] | None = None,
    title: str = "",
    axes: Axes | ManyAxes | None = None,
) -> Figure:
    """Plot recorded and predicted forces and the parts of the latter, on axes per coordinate.

    The parts add up to the predicted force: what the Lagrangian does not explain is friction,
    and a residual if the model has one.

    **Arguments:**

    - `t`: times, s.
    - `recorded`, `predicted`: forces, N m or N.
    - `parts`: inertial, Coriolis and conservative parts of the predicted forces.
    - `joints`: names of the coordinates.
    - `axes`: `n` to draw on.

    **Returns:** the figure.
    """
    recorded, predicted = np.asarray(recorded), np.asarray(predicted)
    n = recorded.shape[1]
    canvas = panels(axes, (7.2, 2.2 + 1.8 * n), n, sharex=True)
    lines = [
        (recorded, "recorded", GREY, "-", 2.2),
        (predicted, "model", BLUE, "--", 1.4),
    ]
    if parts is not None:
        inertial, coriolis, conservative = map(np.asarray, parts)
        friction = predicted - (inertial + coriolis + conservative)
        lines += [
            (inertial, "inertial", ORANGE, "-", 0.9),
            (coriolis, "Coriolis", GREEN, "-", 0.9),
            (conservative, "conservative", "#8a4fa0", "-", 0.9),
            (friction, "friction, residual", "#b03a3a", "-", 0.9),
        ]
    for i, drawn in enumerate(canvas.axes):
        for values, label, colour, style, width in lines:
            drawn.plot(t, values[:, i], style, color=colour, lw=width, label=label)
        if joints is None:
            drawn.set(ylabel=f"force {i} / {FORCE}")
        else:
            drawn.set(ylabel=f"force / {FORCE}", title=literal(joints[i]))
        finish(drawn)
    canvas.axes[-1].set(xlabel="time / s")
    canvas.title(literal(title))
    canvas.legend(3)
    return canvas.figure
