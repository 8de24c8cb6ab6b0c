"""Tables of the reproduction `arms`, from its stored `results.json`."""

import json
from pathlib import Path
from typing import Any

from _protocols import HERE

STORED = HERE.parent / "results" / "reproductions" / "arms.json"

RECORDINGS = ("ur10_recording", "double_pendulum_recording")
SIMULATED = ("torque_nmse", "acceleration", "rollout_500ms", "rollout_1s", "rollout_1s_median")


def arm_entries(path: Path = STORED) -> dict[str, float | None]:
    """Read the figures of the stored reproduction by their names; none without one."""
    if not path.exists():
        return {}
    stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {each["name"]: each["ours"] for each in stored["entries"]}


def arm_machines(path: Path = STORED) -> list[str]:
    """List the machine of the stored reproduction; none without one."""
    if not path.exists():
        return []
    return [json.loads(path.read_text(encoding="utf-8"))["machine"]]


def arm_commits(path: Path = STORED) -> list[tuple[str, str, str, str]]:
    """List name, seed, version (not stored) and commit of the stored reproduction."""
    if not path.exists():
        return []
    stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return [("reproductions/arms", "0", "", stored["commit"])]


def arm_tables(path: Path = STORED) -> dict[str, tuple[tuple[str, ...], list[list[str]]]]:
    """Make heads and lines of the tables, by file name."""
    found = arm_entries(path)
    kinds = [name.split(".")[1:] for name in found if name.startswith("torque_nmse.")]
    heads = ("arm", "data", "model", "torque NMSE, worst joint", "qdd")
    heads += ("0.5 s", "1 s", "1 s, median", "s")
    lines = [
        [
            arm,
            variant,
            f"`{model}`",
            *(_figure(found.get(f"{name}.{model}.{arm}.{variant}")) for name in SIMULATED),
            _seconds(found.get(f"seconds.{model}.{arm}.{variant}")),
        ]
        for model, arm, variant in (each for each in kinds if len(each) == 3)
    ]
    ur10, pendulum = RECORDINGS
    real = [
        [
            f"`{model}`",
            _figure(found[f"torque_nmse.{model}.{ur10}"]),
            _figure(found[f"torque_nmse_worst.{model}.{ur10}"]),
            _seconds(found[f"seconds.{model}.{ur10}"]),
        ]
        for model, *rest in kinds
        if rest == [ur10]
    ]
    models = [
        name.split(".")[1]
        for name in found
        if name.startswith("rollout_500ms.") and name.endswith(pendulum)
    ]
    swings = [
        [
            f"`{model}`",
            *(
                _figure(found[f"rollout_500ms.{model}.{pendulum}.{joint}"])
                for joint in ("shoulder", "elbow")
            ),
            _seconds(found[f"seconds.{model}.{pendulum}"]),
        ]
        for model in models
    ]
    return {
        "arms": (heads, lines),
        "arms_ur10": (("model", "torque NMSE, mean", "worst joint", "s"), real),
        "arms_pendulum": (("model", "shoulder, rad", "elbow, rad", "s"), swings),
    }


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    if value == 0:
        return "0"
    if value >= 100:
        return f"{float(f'{value:.2g}'):,.0f}"
    return f"{value:.2g}" if value > 1e-3 else f"{value:.0e}".replace("e-0", "e-")


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"
