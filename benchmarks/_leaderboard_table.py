"""Table of RealAIGym's leaderboard, from the stored results of `leaderboard.py`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _protocols import HERE

from lagdyna.statistics import interquartile_mean, interval

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
PARTS = ("performance", "robustness")
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
    lines, seeds = [], []
    for robot in dict.fromkeys(each["robot"] for each in found):
        methods: dict[str, list[dict[str, Any]]] = {}
        for each in (x for x in found if x["robot"] == robot):
            methods.setdefault(each["model"], []).append(each)
            seeds.append([robot, MODELS[each["model"]], str(each["seed"]), *_run(each)])
        for model, runs in methods.items():
            interaction = f"{runs[0]['interaction_seconds']:.0f}"
            scores = [_over_seeds(runs, part) for part in PARTS]
            lines.append([robot, MODELS[model], str(len(runs)), interaction, *scores])
        for each in published(f"realaigym-{robot}"):
            scores = [_score(each.score), _score(each.robustness)]
            lines.append([robot, f"{each.method}, published", "", "", *scores])
    figures = ("score", "robustness", *CRITERIA.values(), "predicted score", "s")
    return {
        "leaderboard": (
            ("robot", "method", "seeds", "interaction, s", "score", "robustness"),
            lines,
        ),
        "leaderboard_seeds": (("robot", "method", "seed", *figures), seeds),
    }


def _run(entry: dict[str, Any]) -> list[str]:
    """Format the figures of one seed."""
    performance = entry["performance"]
    return [
        *(_score(entry[part]["score"]) for part in PARTS),
        *(f"{performance[key]:.3g}" for key in CRITERIA),
        _score(entry["predicted"]["score"]),
        f"{entry['seconds']:,.0f}",
    ]


def _over_seeds(runs: list[dict[str, Any]], part: str) -> str:
    """Format the interquartile mean of a score and its 95 % interval."""
    scores = np.asarray([run[part]["score"] for run in runs])
    ends = interval(scores)
    mean = _score(interquartile_mean(scores))
    return mean if ends is None else f"{mean} ({_score(ends[0])} to {_score(ends[1])})"


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
