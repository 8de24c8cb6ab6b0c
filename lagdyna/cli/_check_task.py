import sys
from pathlib import Path

from rich.table import Column, Table
from rich.text import Text

from ._mistakes import use_working_directory
from ._options import Location, Seed, Settings, Whole, configured
from ._print import console, say, write_list

_STYLES = {"ok": "green", "warning": "yellow", "wrong": "red"}


def check_task(
    task: str,
    /,
    *,
    steps: Whole = None,
    seed: Seed = 0,
    set: Settings = None,
    out: Location = None,
) -> None:
    """Compare the description of a task with its environment, by random actions.

    It checks cosines and sines, dt, velocities, the direction of forces, friction, episodes
    and observations. The exit code is 1 if anything is certainly wrong, else 0.

    Parameters
    ----------
    task
        One of `lagdyna tasks`, or a TOML file with a config.
    steps
        Environment steps with random actions; 50 by default.
    seed
        Seed of the actions and of the first episode.
    out
        A new or empty directory for check_task.json.
    """
    from .._errors import UserError
    from ..config import config_from_table

    if steps is not None and steps < 1:
        raise UserError(f"`steps` was {steps}: expected `int` >= 1")
    is_file = task.endswith(".toml") or Path(task).is_file()
    named = {} if is_file else {"task": task}
    config = configured(config_from_table, Path(task) if is_file else None, named, set)
    use_working_directory(config.task.env_id)
    from ..checks import check_task as check

    findings = check(config.task, steps=50 if steps is None else steps, seed=seed)
    write_list(out, "check_task.json", [each._asdict() for each in findings])
    table = Table(
        Column("", no_wrap=True),
        Column("checked", no_wrap=True),
        Column("found", overflow="fold"),
        Column("what to do", overflow="fold"),
        box=None,
    )
    for each in findings:
        verdict = Text(each.verdict, style=_STYLES[each.verdict])
        table.add_row(verdict, *map(Text, (each.what, each.found, each.advice)))
    console.print(table)
    counts = {name: sum(each.verdict == name for each in findings) for name in _STYLES}
    say(
        f"{config.task.env_id}: {counts['wrong']} wrong, {counts['warning']} warnings, "
        f"{counts['ok']} ok"
    )
    if counts["wrong"]:
        sys.exit(1)
