"""Tasks and solvers that are given by name."""

import dataclasses
from typing import Any

from .._errors import UserError
from ..parts import SolverConfig
from ..tasks import TaskSpec, get_task


def known_task(task: TaskSpec | str) -> TaskSpec:
    """Look up a task by name.

    **Raises:** `UserError` for an unknown one.
    """
    if isinstance(task, TaskSpec):
        return task
    if not isinstance(task, str):
        raise UserError(
            f"`task` was {task!r}; the name of a task, a table or a TaskSpec is accepted"
        )
    try:
        return get_task(task)
    except ValueError as error:
        raise UserError(str(error)) from error


def named_solver(solver: SolverConfig | str | None) -> SolverConfig | None:
    """Look up a solver by name.

    **Raises:** `UserError` for an unknown one.
    """
    if not isinstance(solver, str):
        return solver
    try:
        return SolverConfig.named(solver)
    except ValueError as error:
        raise UserError(str(error)) from error


def task_table(task: str) -> dict[str, Any]:
    """Describe a known task as a table.

    **Raises:** `UserError` for an unknown one.
    """
    return dataclasses.asdict(known_task(task))
