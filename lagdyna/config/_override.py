"""Overrides of a config's table from the command line."""

from typing import Any

from .._errors import UserError
from ..options import Table
from ._names import task_table


def override(table: Table, key: str, value: Any) -> None:
    """Set a dotted key of a table, in place.

    The key of a part, such as `solver` or `agent.algorithm`, sets its `name`. A key inside
    `task` changes the description of the task that the table names.

    **Raises:** `UserError` if the key goes through a value that is not a table, or the table
    names no known task.
    """
    *path, last = key.split(".")
    if path[:1] in (["train"], ["fit"]) and isinstance(table.get(path[0]), dict):  # of a sweep
        override(table[path[0]], ".".join([*path[1:], last]), value)
        return
    if path[:1] == ["task"] and isinstance(table.get("task", _TASK), str):
        table["task"] = task_table(table.get("task", _TASK))
    if last in _PARTS and (not path or (last, path) == ("algorithm", ["agent"])):
        path, last = [*path, last], "name"
    for part in path:
        inner: Any = table.setdefault(part, {})
        if inner is None:  # a table that was left out
            inner = table[part] = {}
        if isinstance(inner, str) and part in _PARTS:  # a part that was given by name
            inner = table[part] = {"name": inner}
        if not isinstance(inner, dict):
            raise UserError(f"`{key}` was given, but `{part}` is not a table of options")
        table = inner
    table[last] = value


_TASK = "Pendulum-v1"  # the default task
_PARTS = ("model", "solver", "learner", "agent", "loss", "algorithm")
