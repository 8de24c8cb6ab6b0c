"""Figures of a fit."""

from pathlib import Path
from typing import Any

from ..plot import (
    energy_changes,
    loss_curve,
    phase_portrait,
    rollout_errors,
    save,
    torques,
)
from ._evaluation import Drawn

_MOST_MOTIONS = 4


def draw_fit(out: Path, drawn: Drawn, records: list[dict[str, Any]], title: str) -> None:
    """Draw every figure of a fit that its data and its model allow.

    **Arguments:** `out`, the directory; `drawn`, the content; `records`, the lines of
    `metrics.jsonl`; `title`, the model's name.
    """
    motions, part, joints = drawn.motions[:_MOST_MOTIONS], drawn.part, drawn.joints
    save(loss_curve(records, title=title), out / "learning_curve.png")
    space = "\n" if drawn.coordinates.n == 1 else " "  # a narrow figure
    figure = phase_portrait(
        [each.states for each in motions],
        [each.predicted for each in motions],
        angles=drawn.coordinates.angles,
        joints=joints,
        title=f"{title}: {part} data{space}and rollouts from their initial states",
    )
    save(figure, out / "phase.png")
    save(rollout_errors({title: drawn.rollout}, part=part), out / "rollout_error.png")
    if drawn.torques is not None:
        title_of_forces = f"{title}: forces along a {part} trajectory"
        figure = torques(drawn.t, *drawn.torques, joints=joints, title=title_of_forces)
        save(figure, out / "torque.png")
    learned = [
        (each.t, each.energy, each.predicted_energy)
        for each in motions
        if each.energy is not None and each.predicted_energy is not None
    ]
    if learned:
        save(energy_changes(learned, title=title), out / "energy.png")
