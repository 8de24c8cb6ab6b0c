"""Check of the environment at the start of a training run."""

import dataclasses

from .._errors import UserError
from ..checks import check_task
from ..config import Config
from ..progress import AbstractProgress
from ..tasks import TASKS, TaskSpec


def check_environment(config: Config, progress: AbstractProgress) -> None:
    """Compare the description of a task with its environment, by 50 random steps.

    Tasks that lagdyna itself describes are not checked, nor those with `unchecked`.

    **Arguments:** `progress`, which receives a note of each warning, and of a solver that would
    fit the environment better.

    **Raises:** `UserError` if the description is certainly wrong.
    """
    task = config.task
    if task.unchecked or _described(task) in map(_described, TASKS.values()):
        return
    findings = check_task(task, resets=False)
    wrong = [str(each) for each in findings if each.verdict == "wrong"]
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise UserError(
            f"`task` does not fit the environment {task.env_id!r}: {wrong[0]}{more}. "
            "`lagdyna check-task` with the same config shows every check; `task.unchecked = "
            "true` goes on without them"
        )
    for each in findings:
        if each.verdict == "warning" or (each.what == "solver" and _solved_otherwise(config)):
            progress.note(f"{task.env_id}: {each}")


def _solved_otherwise(config: Config) -> bool:
    """Whether a model is solved, by another solver than semi-implicit Euler."""
    solver = config.resolved().solver
    return solver is not None and solver.name != "semi_implicit_euler"


def _described(task: TaskSpec) -> TaskSpec:
    """Drop the options that the check does not compare with the environment."""
    return dataclasses.replace(
        task,
        steps=1,
        target_return=None,
        description="",
        repeat=1,
        substeps=1,
        chain=False,
        context_range=1.0,
    )
