"""Reports of comparisons."""

import shlex
from pathlib import Path
from typing import Any

from .._errors import UserError
from .._text import cell, with_interval
from ..identification import percent
from ..results import read_json
from ._directory import date_of, files_table, pictures
from ._page import Command, Page, Table

_FIT = {
    "model": "model",
    "learner": "learner",
    "loss": "loss",
    "weights": "weights",
    "seconds": "time / s",
    "one_step_q": "one step, q",
    "one_step_qd": "one step, qd",
    "acceleration": "qdd",
    "torque": "force",
    "rollout_q": "rollout, q",
    "rollout_qd": "rollout, qd",
    "energy_drift": "energy drift",
}


def compare_page(directory: Path) -> Page:
    """Describe a comparison of fits or of agents."""
    path = directory / "compare.json"
    rows = read_json(path)
    whole = isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows)
    if not whole or not all("run" in row for row in rows):
        raise UserError(f"{str(path)!r} is damaged: it is no list of runs")
    agents = "agent" in rows[0]
    shown, left_out = pictures(directory)
    names = [Path(row["run"]).name for row in rows]
    labels = [n if names.count(n) == 1 else str(r["run"]) for n, r in zip(names, rows)]  # noqa: B905
    best = _best(rows, labels, "return" if agents else "rollout_q", largest=agents)
    return Page(
        title=f"Comparison of {len(rows)} {'agents' if agents else 'fits'}",
        kind=", ".join(labels),
        date=date_of(path),
        result=best,
        facts=[],
        notes=[
            f"{label}: {note}"
            for label, row in zip(labels, rows, strict=True)
            for note in row.get("notes") or []
        ],
        pictures=shown,
        left_out=left_out,
        tables=[_agents(rows, labels) if agents else _fits(rows, labels)],
        config=None,
        circumstances=None,
        files=files_table(directory),
        commands=_commands(rows, agents),
    )


def _best(rows: list[dict[str, Any]], labels: list[str], key: str, largest: bool) -> str:
    """Name the best run in one sentence."""
    found = [
        (row[key], label)
        for row, label in zip(rows, labels, strict=True)
        if row.get(key) is not None
    ]
    if not found:
        return "No run has a value to compare."
    value, label = max(found) if largest else min(found)
    if largest:
        return f"{label} has the highest return, {value:.4g}."
    return f"{label} has the smallest error of q after a rollout, {value:.3g}."


def _agents(rows: list[dict[str, Any]], labels: list[str]) -> Table:
    """Tabulate agents: interquartile means with their intervals."""
    table = [
        (key.replace("env_", ""), *(cell(row.get(key)) for row in rows))
        for key in ("agent", "model", "learner", "seeds", "env_steps")
    ]
    for key, name in (("return", "return"), ("steps_to_target", "steps to the target")):
        ends = f"{key}_interval"
        table.append((name, *(with_interval(row[key], row.get(ends)) for row in rows)))
    goal = rows[0].get("target_return")
    if goal is not None:
        reached = (f"{row['reached']} of {row['seeds']} seeds" for row in rows)
        table.append((f"reached a return of {goal:g}", *reached))
    for key, name in (("better_return", "higher return"), ("fewer_steps", "fewer steps")):
        table.append((f"P({name})", *(_probability(row.get(key)) for row in rows)))
    note = (
        "Interquartile means over seeds with 95 % bootstrap intervals. P: probability that a "
        f"run is better than one of {labels[0]}."
    )
    return Table("Comparison", ("", *labels), table, note)


def _probability(found: dict[str, Any] | None) -> str:
    if found is None:
        return "-"
    low, high = found.get("low"), found.get("high")
    ends = None if low is None or high is None else (low, high)
    return with_interval(found.get("probability"), ends)


def _fits(rows: list[dict[str, Any]], labels: list[str]) -> Table:
    """Tabulate fits: errors, and each as a part of what it is relative to."""
    table = []
    for key, name in _FIT.items():
        texts = []
        for row in rows:
            share = (row.get("relative") or {}).get(key)
            texts.append(cell(row.get(key)) + ("" if share is None else f" ({percent(share)})"))
        if any(row.get(key) is not None for row in rows):
            table.append((name, *texts))
    horizons = sorted({f"{row['rollout_seconds']:.3g} s" for row in rows})
    note = (
        "Root mean squares over the coordinates, on unseen data; in brackets as a part of the "
        "change in a step, and of the variation of the data for others. Rollouts of "
        f"{', '.join(horizons)}."
    )
    return Table("Comparison", ("", *labels), table, note)


def _commands(rows: list[dict[str, Any]], agents: bool) -> list[Command]:
    names = " ".join(shlex.quote(str(row["run"])) for row in rows)
    runs = [str(row["run"]) for row in rows]
    return [
        Command(
            "Compare them with another run:",
            f"lagdyna compare {names} OTHER_RUN --out runs/comparison",
        ),
        Command(
            "Read the rows in Python:",
            f"import lagdyna\n\nrows = lagdyna.compare({runs})",
        ),
        *(
            []
            if agents
            else [
                Command(
                    "Load the model of one:",
                    f"import lagdyna\n\nfit = lagdyna.load({runs[0]!r})",
                )
            ]
        ),
    ]
