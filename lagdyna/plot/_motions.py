"""Planned motions: plans through a model, and excitations of robots."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Array, Float

from ._figure import (
    ANGLE_OR_LENGTH,
    BLUE,
    GREY,
    ORANGE,
    THEIR_SPEED,
    Figure,
    ManyAxes,
    finish,
    literal,
    panels,
)

Rows = Float[np.ndarray, "time n"] | Float[Array, "time n"]
PerJoint = Float[np.ndarray, " n"] | Float[Array, " n"]
PerAction = Sequence[float] | Float[np.ndarray, " m"] | Float[Array, " m"]


def plan(
    q: Float[np.ndarray, "states n"] | Float[Array, "states n"],
    actions: Float[np.ndarray, "steps m"] | Float[Array, "steps m"],
    *,
    angles: Sequence[bool] | None = None,
    goal: PerJoint | None = None,
    limits: tuple[PerAction, PerAction] | None = None,
    names: Sequence[str] | None = None,
    axes: ManyAxes | None = None,
) -> Figure:
    """Plot coordinates and actions of a plan, with its goal and the limits of actions dashed.

    **Arguments:**

    - `q`: coordinates, those at the start included.
    - `actions`: in the units of the model.
    - `angles`: for each coordinate, whether it is an angle, whose jumps are not drawn.
    - `goal`: coordinates at the end, if the plan has a goal.
    - `limits`: lowest and highest value of each action.
    - `names`: names of the actions.
    - `axes`: `n + m` to draw on.

    **Returns:** the figure.
    """
    q, actions = np.asarray(q), np.asarray(actions)
    n, m = q.shape[1], actions.shape[1]
    canvas = panels(axes, (6.4, 1.0 + 1.1 * (n + m)), n + m, sharex=True)
    for i, drawn in enumerate(canvas.axes[:n]):
        curve, is_angle = np.array(q[:, i]), angles is not None and angles[i]
        if is_angle:  # no line from pi to -pi
            curve[1:][np.abs(np.diff(curve)) > np.pi] = np.nan
        drawn.plot(curve, color=BLUE, lw=1.2)
        if goal is not None:
            drawn.axhline(float(goal[i]), color=ORANGE, lw=0.7, ls="--")
        unit = "rad" if is_angle else ANGLE_OR_LENGTH
        drawn.set_ylabel(f"q[{i}] / {unit}", fontsize=8)
    for j, drawn in enumerate(canvas.axes[n:]):
        drawn.stairs(actions[:, j], color=BLUE, lw=1.2, baseline=None)
        for ends in limits or ():
            drawn.axhline(float(ends[j]), color=ORANGE, lw=0.7, ls="--")
        drawn.set_ylabel(f"action {j}" if names is None else literal(names[j]), fontsize=8)
    for drawn in canvas.axes:
        finish(drawn)
    dashed = [("goal", goal), ("limits", limits)]
    shown = " and ".join(name for name, given in dashed if given is not None)
    if shown:
        canvas.axes[0].set_title(f"{shown} dashed", fontsize=9)
    canvas.axes[-1].set_xlabel("step")
    return canvas.figure


def excitation(
    t: Float[np.ndarray, " time"] | Float[Array, " time"],
    q: Rows,
    qd: Rows,
    *,
    lower: PerJoint,
    upper: PerJoint,
    speed: PerJoint,
    joints: Sequence[str] | None = None,
    axes: ManyAxes | None = None,
) -> Figure:
    """Plot positions and velocities of a motion, with the limits of the joints dashed.

    **Arguments:**

    - `t`: times, s.
    - `q`, `qd`: positions and velocities, rad or m, rad/s or m/s.
    - `lower`, `upper`, `speed`: limits of positions and of the magnitude of velocities.
    - `joints`: names of the coordinates.
    - `axes`: `2 n` to draw on, position and velocity of each joint.

    **Returns:** the figure.
    """
    q, qd, speed = np.asarray(q), np.asarray(qd), np.asarray(speed)
    n = q.shape[1]
    canvas = panels(axes, (8.0, 1.0 + 1.1 * n), 2 * n, 2, sharex=True)
    for i in range(n):
        left, right = canvas.axes[2 * i : 2 * i + 2]
        for drawn, rows, low, high in (
            (left, q, lower[i], upper[i]),
            (right, qd, -speed[i], speed[i]),
        ):
            drawn.plot(t, rows[:, i], color=BLUE, lw=1.2)
            for end in (low, high):
                drawn.axhline(float(end), color=GREY, lw=0.7, ls="--")
            finish(drawn)
        left.set_ylabel(f"q{i}" if joints is None else literal(joints[i]), fontsize=8)
    for drawn, name, unit in zip(
        canvas.axes, ("position", "velocity"), (ANGLE_OR_LENGTH, THEIR_SPEED), strict=False
    ):
        limits = ", limits dashed" if name == "position" else ""
        drawn.set_title(f"{name} / {unit}{limits}", fontsize=9)
    for drawn in canvas.axes[-2:]:
        drawn.set_xlabel("t / s")
    return canvas.figure
