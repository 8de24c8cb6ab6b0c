"""Errors of a fit beside the variation of the data, and what to say about large ones."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Float

from ..data import Experience, TrajectorySet
from ..mechanics import Coordinates

Report = dict[str, Any]

# Relative errors from which a model is said to have learned nothing, and the ratio of
# validation to training loss from which it is said to overfit.
_POOR, _OVERFIT = 0.9, 10.0

_NAMES = {
    "one_step_q": ("one-step error of q", "change in a step"),
    "one_step_qd": ("one-step error of qd", "change in a step"),
    "acceleration": ("error of qdd", "variation"),
    "torque": ("error of the force", "variation"),
}


def variation(
    raw: TrajectorySet, steps: Experience, coordinates: Coordinates, control: str | None
) -> Report:
    """Measure how much the data vary, per coordinate, in the units of the data.

    **Returns:** `step_q` and `step_qd`, root mean square changes in one step; `q`, `qd`, `qdd`
    and `tau`, standard deviations, of angles on the circle; `None` without such data.
    """
    before, after = steps.state, steps.next_state
    difference = eqx.filter_jit(coordinates.difference)  # ten programs otherwise
    change = np.asarray(difference(after.q, before.q), np.float64)
    speed_change = np.asarray(after.qd, np.float64) - np.asarray(before.qd, np.float64)
    return {
        "step_q": _listed(_rms(change)),
        "step_qd": _listed(_rms(speed_change)),
        "q": _listed(_spread_of_positions(raw, coordinates)),
        **{name: _spread(raw, name) for name in ("qd", "qdd")},
        "tau": _spread(raw, "tau") if control == "tau" else None,
    }


def relative_errors(part: Report) -> Report:
    """Divide the errors of a part of a report by the variation of its data.

    **Returns:** fractions per coordinate, of a one-step error of the change in a step, of all
    others of the standard deviation; `None` where the data do not vary.
    """
    size, rollout = part["variation"], part["rollout"]
    last = {name: rollout[name][-1] if rollout[name] else None for name in ("q", "qd")}
    return {
        "one_step_q": _over(part["one_step"]["q"], size["step_q"]),
        "one_step_qd": _over(part["one_step"]["qd"], size["step_qd"]),
        "acceleration": _over(part.get("acceleration"), size["qdd"]),
        "torque": _over(part["torque"], size["tau"]),
        "rollout_q": _over(last["q"], size["q"]),
        "rollout_qd": _over(last["qd"], size["qd"]),
    }


def unseen_part(report: Mapping[str, Any]) -> tuple[str, Report]:
    """Find the part of a report with the errors that count: test data, else validation data.

    **Returns:** its name, and the part.
    """
    name = "test" if report.get("test") else "validation"
    return name, report[name]


def warnings_of(report: Report) -> list[str]:
    """Say in words when a model is wrong on unseen data, or much worse than on training.

    **Returns:** sentences for the notes of the report.
    """
    part, unseen = unseen_part(report)
    notes, found = [], unseen["relative"]
    for name, (what, of) in _NAMES.items():
        shares = found[name] or []
        poor = [i for i, share in enumerate(shares) if share is not None and share > _POOR]
        if poor:
            worst = max(shares[i] for i in poor)
            names = report.get("joints")
            which = (
                f"joint {', '.join(names[i] for i in poor)}"
                if names
                else (f"coordinate {', '.join(map(str, poor))}")
            )
            notes.append(
                f"the {what} of {which} is {share_of(worst)} "
                f"its {of} on {part} data, so a constant predicts it as well or better; "
                "check units, signs and `data.angles`, and try more updates, more "
                "data or another model, or a larger `data.dt` if noise hides the motion"
            )
    training, validation = report["loss_training"], report["loss_validation"]
    if training and validation and validation > _OVERFIT * training:
        notes.append(
            f"the loss on validation data is {validation / training:.3g} times that on "
            "training data, so the model does not generalise; try more data, fewer weights in "
            "`model.hidden`, or `learner.weight_decay`"
        )
    return notes


def share_of(share: float) -> str:
    """Format a fraction before the name of its whole: "38 % of" or "62 times"."""
    return percent(share) + ("" if share > 10 else " of")


def percent(share: float) -> str:
    """Format a fraction as percent, and one above 10 as a factor."""
    value = 100 * share
    if share > 10:
        return f"{share:.0f} times"
    return f"{value:.0f} %" if value >= 10 else f"{value:.2g} %"


def _spread(raw: TrajectorySet, name: str) -> list[float] | None:
    if any(name not in each.arrays for each in raw):
        return None
    return _listed(_std(np.concatenate([each.arrays[name] for each in raw])))


def _spread_of_positions(
    raw: TrajectorySet, coordinates: Coordinates
) -> Float[np.ndarray, " n"]:
    """Compute standard deviations; those of angles from their circular mean."""

    q = np.concatenate([np.asarray(each.q, np.float64) for each in raw])
    angle = np.array(coordinates.angles)
    circular = np.angle(np.mean(np.exp(1j * np.where(angle, q, 0)), axis=0))
    off = q - np.where(angle, circular, q.mean(0))
    return _rms(np.where(angle, np.angle(np.exp(1j * np.where(angle, off, 0))), off))


def _std(x: np.ndarray) -> Float[np.ndarray, " n"]:
    x = np.asarray(x, np.float64)
    x = x[np.all(np.isfinite(x), axis=1)]
    return _rms(x - x.mean(0)) if len(x) else np.zeros(x.shape[1])


def _rms(x: Float[np.ndarray, "rows n"]) -> Float[np.ndarray, " n"]:
    largest = np.max(np.abs(x), axis=0, initial=0.0)
    unit = np.where(largest > 0, largest, 1.0)
    return largest * np.sqrt(np.mean((x / unit) ** 2, axis=0))


def _listed(x: Float[np.ndarray, " n"]) -> list[float]:
    return [float(value) for value in x]


def _over(
    errors: list[float | None] | None, sizes: list[float] | None
) -> list[float | None] | None:
    if errors is None or sizes is None:
        return None
    return [
        error / size if error is not None and size > 0 else None
        for error, size in zip(errors, sizes, strict=True)
    ]
