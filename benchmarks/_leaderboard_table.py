"""Table of RealAIGym's leaderboard, from the stored results of `leaderboard.py`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _protocols import HERE

STORED = HERE.parent / "results" / "reproductions" / "leaderboard"

MODELS = {
    "delan": "plan through a DeLaN",
    "true": "plan through the true equations",
}
CRITERIA = {
    "swing_up_time": "time, s",
    "energy": "energy, J",
    "torque_cost": "torque cost",
    "torque_smoothness": "smoothness",
    "velocity_cost": "velocity cost",
}
Table = tuple[tuple[str, ...], list[list[str]]]


def leaderboard_entries(folder: Path = STORED) -> list[dict[str, Any]]:
    """Read the stored results, ordered by robot, model and seed."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")]
    return sorted(
        found, key=lambda each: (each["robot"], [*MODELS].index(each["model"]), each["seed"])
    )


def leaderboard_tables(
    published: Callable[[str], list[Any]], folder: Path = STORED
) -> dict[str, Table]:
    """Make heads and lines of the tables, by file name.

    **Arguments:** `published`, the published figures of a task.
    """
    found = leaderboard_entries(folder)
    lines, criteria = [], []
    for robot in dict.fromkeys(each["robot"] for each in found):
        for each in (x for x in found if x["robot"] == robot):
            name = [robot, MODELS[each["model"]], str(each["seed"])]
            performance = each["performance"]
            interaction = f"{each['interaction_seconds']:.0f}"
            scores = [_score(each[part]["score"]) for part in ("performance", "robustness")]
            lines.append([*name, interaction, *scores, f"{each['seconds']:,.0f}"])
            figures = [f"{performance[key]:.3g}" for key in CRITERIA]
            criteria.append([*name, *figures, f"{each['predicted']['score']:.3f}"])
        for each in published(f"realaigym-{robot}"):
            scores = [_score(each.score), _score(each.robustness)]
            lines.append([robot, f"{each.method}, published", "", "", *scores, ""])
    heads = ("robot", "method", "seed")
    return {
        "leaderboard": ((*heads, "interaction, s", "score", "robustness", "s"), lines),
        "leaderboard_criteria": ((*heads, *CRITERIA.values(), "predicted score"), criteria),
    }


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
