"""Stored best returns of the suite's tasks, and their table beside papers and agents."""

import json
from pathlib import Path
from typing import Any

import msgspec
from _protocols import HERE
from _summaries import machine_of

from lagdyna import UserError
from lagdyna.reproductions.ramesh2023_suite import PAPER
from lagdyna.results import make_directory, write_text

STORED = HERE.parent / "results" / "bounds"


class Bound(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Best returns found for a task.

    **Attributes:**

    - `repeat`: number of environment steps of an action.
    - `returns`: return of an episode from each start.
    - `mean`, `low`, `high`: their mean, and its 95 % interval by Student's distribution.
    - `planned`: the returns that the plans promise.
    - `converged`: number of plans that are local optima to the tolerance of the planner.
    - `actions`: number of actions of a plan.
    - `rounds`: number of rounds of the search.
    - `seed`: seed of the guesses.
    - `seconds`: wall time, compilation included.
    - `machine`: hardware, versions and commit.
    """

    task: str
    repeat: int
    returns: list[float]
    mean: float
    low: float
    high: float
    planned: list[float]
    converged: int
    actions: int
    rounds: int
    seed: int
    seconds: float
    machine: dict[str, Any]


def path_of(task: str, folder: Path = STORED) -> Path:
    """Build the path of a task's stored returns."""
    return folder / f"{task}.json"


def read_bound(task: str, folder: Path = STORED) -> Bound:
    """Read the stored returns of a task.

    **Raises:** `UserError` if the file is damaged.
    """
    path = path_of(task, folder)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Bound)
    except msgspec.MsgspecError as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{str(path)!r} is damaged: {reason}; `git checkout {path}` restores a committed "
            "file"
        ) from error


def write_bound(found: Bound, folder: Path = STORED) -> None:
    """Write the returns of a task."""
    make_directory(folder)
    text = json.dumps(msgspec.to_builtins(found), indent=1)
    write_text(path_of(found.task, folder), text + "\n")


def bound_entries(folder: Path = STORED) -> dict[str, dict[str, float]]:
    """Read the figures of each stored task, in the order of the paper."""
    return {
        each.task: {"mean": each.mean, "low": each.low, "high": each.high}
        for each in _stored(folder)
    }


def bound_machines(folder: Path = STORED) -> list[str]:
    """List the machine of each stored file."""
    return [machine_of(each.machine) for each in _stored(folder)]


def bound_commits(folder: Path = STORED) -> list[tuple[str, str, str, str]]:
    """List task, seed of the guesses, version (not stored) and commit of each file."""
    return [(x.task, str(x.seed), "", x.machine.get("commit", "")) for x in _stored(folder)]


def _stored(folder: Path) -> list[Bound]:
    return [read_bound(task, folder) for task in PAPER if path_of(task, folder).exists()]


def bound_table(
    agents: dict[str, dict[str, float | None]], folder: Path = STORED
) -> tuple[tuple[str, ...], list[list[str]]]:
    """Make heads and lines of the table.

    **Arguments:** `agents`, the returns of stored runs by task and model.
    """
    models = list(dict.fromkeys(model for each in agents.values() for model in each))
    heads = ("task", "best found", "95 %", "starts", "converged", "rounds", "s")
    heads += ("paper's LNN", "DNN")
    lines = []
    for task, paper in PAPER.items():
        cells = [""] * 6
        if path_of(task, folder).exists():
            each = read_bound(task, folder)
            cells = [f"{each.mean:.1f}", f"{each.low:.1f} to {each.high:.1f}"]
            cells += [f"{x}" for x in (len(each.returns), each.converged, each.rounds)]
            cells += [f"{each.seconds:,.0f}"]
        cells += [f"{paper.delan.value:.0f}", f"{paper.mlp.value:.0f}"]
        ours = (agents.get(task, {}).get(model) for model in models)
        cells += ["" if x is None else f"{x:.0f}" for x in ours]
        lines.append([task, *cells])
    return (*heads, *(f"`{model}`" for model in models)), lines
