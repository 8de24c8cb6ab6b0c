"""Reports of plans."""

import shlex
from pathlib import Path
from typing import Any

from .._errors import UserError
from .._text import cell
from ..results import RUN_FILE, read_json
from ._directory import date_of, files_table, pictures
from ._page import Command, Page, Table

_NAMES = {
    "start": "start",
    "goal": "goal",
    "goal_action": "action that holds the goal",
    "reward": "reward",
    "steps": "steps",
    "cost": "cost",
    "iterations": "iterations",
    "largest_defect": "largest defect",
    "distance_from_goal": "distance from the goal",
    "distance_with_tracker": "distance from the goal with the tracker",
    "return": "return",
    "return_with_tracker": "return with the tracker",
    "region": "region of attraction of the regulator",
    "largest_excess": "largest excess of the joints' limits",
}


def plan_page(directory: Path) -> Page:
    """Describe a plan."""
    path = directory / "plan.json"
    report = read_json(path)
    if not isinstance(report, dict):
        raise UserError(f"{str(path)!r} is damaged: it holds no JSON object")
    shown, left_out = pictures(directory)
    rewarded = report.get("return") is not None
    facts = [
        (name, cell(report[key]))
        for key, name in _NAMES.items()
        if report.get(key) is not None
        and key in ("return", "return_with_tracker", "distance_from_goal", "steps")
    ]
    result = f"A plan of {cell(report.get('steps'))} steps that converged in "
    result += f"{cell(report.get('iterations'))} iterations"
    if rewarded:
        result += f", with a return of {cell(report['return'])}."
    else:
        result += f", and ends {cell(report.get('distance_from_goal'))} from the goal."
    return Page(
        title=f"Plan for {report['reward']}" if rewarded else f"Plan to q = {_goal(report)}",
        kind=f"plan · {directory.parent.name}",
        date=date_of(path),
        result=result,
        facts=facts,
        notes=list(report.get("notes") or []),
        pictures=shown,
        left_out=left_out,
        tables=[_numbers("Plan", report, _NAMES), *_samples(report)],
        config=None,
        circumstances=None,
        files=files_table(directory),
        commands=_commands(directory),
    )


def _goal(report: dict[str, Any]) -> str:
    return cell(report.get("goal"))


def _numbers(heading: str, values: dict[str, Any], names: dict[str, str]) -> Table:
    rows = [(name, cell(values[key])) for key, name in names.items() if _is_there(values, key)]
    return Table(heading, ("quantity", "value"), rows)


def _is_there(values: dict[str, Any], key: str) -> bool:
    return values.get(key) is not None


def _samples(report: dict[str, Any]) -> list[Table]:
    samples = report.get("samples")
    if not samples:
        return []
    names = {key: key.replace("_", " ") for key in samples}
    return [_numbers("In samples of the posterior", samples, names)]


def _commands(directory: Path) -> list[Command]:
    run = directory.parent
    commands = [
        Command(
            "Read the plan in Python:",
            f"""import numpy as np

plan = np.load({str(directory / "plan.npz")!r})
plan["q"], plan["qd"], plan["action"]""",
        )
    ]
    if (run / RUN_FILE).is_file():
        name = shlex.quote(str(run))
        pack = Command(
            "Pack the run, its plans included, into one file:", f"lagdyna pack {name} run.zip"
        )
        commands.append(pack)
    return [*commands, Command("See how to plan another motion:", "lagdyna plan --help")]
