"""Learned energies: along a rollout of a policy, and along recordings."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Array, Float

from ._figure import BLUE, GREEN, GREY, ORANGE, Axes, Figure, finish, literal, panels

Values = Float[np.ndarray, " time"] | Float[Array, " time"]

# The axis has no name, since motions may have other lengths.
Motion = tuple[
    Float[np.ndarray, " _"] | Float[Array, " _"],
    Float[np.ndarray, " _"] | Float[Array, " _"],
    Float[np.ndarray, " _"] | Float[Array, " _"],
]


def energies(
    seconds: Values,
    total: Values,
    work: Values,
    *,
    kinetic: Values | None = None,
    potential: Values | None = None,
    title: str = "",
    axes: Axes | None = None,
) -> Figure:
    """Plot the learned energies along a rollout and the work of the actuators.

    Without friction, the total energy and the work differ by a constant. Both lines start at
    the same value.

    **Arguments:**

    - `seconds`: times of the states.
    - `total`, `work`: total energy, and work of the actuators since the start, J.
    - `kinetic`, `potential`: parts of the energy, J; `None` if the model does not have them.
    - `axes`: to draw on.

    **Returns:** the figure.
    """
    canvas = panels(axes, (6.4, 4.0))
    drawn = canvas.axes[0]
    total, work = np.asarray(total), np.asarray(work)
    zero = total.min() if potential is None else np.min(potential)
    if kinetic is not None:
        drawn.plot(seconds, kinetic, color=ORANGE, lw=1, label="kinetic")
    if potential is not None:
        drawn.plot(seconds, potential - zero, color=GREEN, lw=1, label="potential")
    drawn.plot(seconds, total - zero, color=BLUE, label="total")
    start = total[0] - zero
    drawn.plot(seconds, start + work, "--", color=GREY, lw=1, label="start + work done")
    drawn.set(xlabel="time / s", ylabel="learned energy / J", title=literal(title))
    canvas.legend(4)
    finish(drawn)
    return canvas.figure


def energy_changes(
    motions: Sequence[Motion], *, title: str = "", axes: Axes | None = None
) -> Figure:
    """Plot the change of the learned energy along recordings and along rollouts.

    **Arguments:** `motions`, for each the times, s, the energy along the data and the energy
    along the rollout from the same state, J, shapes `(time,)`; `axes`, to draw on.

    **Returns:** the figure.
    """
    canvas = panels(axes, (6.4, 4.0))
    drawn = canvas.axes[0]
    for k, (t, recorded, predicted) in enumerate(motions):
        seconds, zero = np.asarray(t) - t[0], recorded[0]
        for values, style, label in (
            (recorded, "-", "along the data"),
            (predicted, "--", "along the rollout"),
        ):
            shown = label if k == 0 else None
            change = np.asarray(values) - zero
            drawn.plot(seconds, change, style, color=f"C{k}", lw=1.2, label=shown)
    drawn.set(xlabel="time / s", ylabel="change of learned energy / J", title=literal(title))
    canvas.legend(2)
    finish(drawn)
    return canvas.figure
