"""Code that the config of a run directory names, which is run only if it is trusted."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .._errors import UserError
from ..options import located, names_code
from ..tasks import TASKS

Trust = bool | Mapping[str, str]


def check_trusted(
    path: Path, table: Mapping[str, Any], trust: Trust, replaced: set[str]
) -> None:
    """Refuse a stored config that names code which the caller does not trust.

    A run directory may come from anybody, so nothing that it names is run unasked: neither a
    Python file (`FILE.py:NAME`), nor a module for an environment (`MODULE:ID`).

    **Arguments:**

    - `path`: the file of the config, for messages.
    - `table`: its table, before anything is converted.
    - `trust`: whether all of its code may be run; or the options that name code, with the
        values that they had, such as `{"model": "mine.py:Mine"}`.
    - `replaced`: options that the caller gives as objects, by their dotted names; a name ending
        in `.*` stands for all options of a part.

    **Raises:** `UserError` if code is named that is not trusted, or a value in `trust` is not
    that of the config.
    """
    again = {} if isinstance(trust, bool) else {_full(key): each for key, each in trust.items()}
    # A list, since names with dots may make two options look like one.
    values = [*_values(table)]
    for option, given in again.items():
        stored = [value for name, value in values if name == option]
        if not stored or not all(_same(given, value) for value in stored):
            has = repr(stored[0]) if stored else "none"
            raise UserError(
                f"`{_short(option)}` was given again as {given!r}, and {str(path)!r} has "
                f"{has}; the same value is accepted"
            )
    if trust is True:
        return
    for option, value in values:
        part = f"{option.partition('.')[0]}.*"
        if option in again or option in replaced or part in replaced:
            continue
        if _is_code(option, value):
            raise _not_trusted(path, option, value)


def _not_trusted(path: Path, option: str, value: str) -> UserError:
    """Create the error that names code and says how to trust it."""
    name = _short(option)
    if names_code(value):
        file, _, found = value.rpartition(":")
        value = f"{located(file)}:{found}"
    again = "" if "[" in name else f" or give `--{name} {value}` again"
    return UserError(
        f"{str(path)!r} names code in `{name}`, {value!r}, which is not run unasked; if you "
        f"trust it, add `--trust`{again} (in Python `trust=True`, or the object itself)"
    )


def _is_code(option: str, value: Any) -> bool:
    """Whether using an option's value would run Python code."""
    if not isinstance(value, str) or option == "task.description":
        return False
    if option.partition(".")[0] == "task":  # environment, wrappers and their arguments
        ids = {each.env_id for each in TASKS.values()}
        wrappers = {each.name for task in TASKS.values() for each in task.wrappers}
        known = (option == "task.env_id" and value in ids) or value in wrappers
        return ":" in value and not known
    return names_code(value)


def _same(given: str, stored: Any) -> bool:
    """Whether two values are equal, or name the same object of the same file."""
    if not isinstance(stored, str):
        return False
    (file, _, name), (stored_file, _, stored_name) = (
        each.rpartition(":") for each in (given, stored)
    )
    if not (names_code(given) and names_code(stored)):
        return given == stored
    # A run may have been begun elsewhere, and says where: the caller must mean the same file.
    return name == stored_name and Path(file).resolve() == Path(located(stored_file)).resolve()


def _values(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value in nested tables and lists by its dotted name."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _values(inner, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _values(inner, f"{where}[{i}]")
    else:
        yield _full(where), value


_PARTS = ("model", "learner", "loss", "agent", "solver", "agent.algorithm")


def _full(option: str) -> str:
    """Write a part that is given by its name alone as its option `name`."""
    option = {"known": "model.known", "residual": "model.residual"}.get(option, option)
    return f"{option}.name" if option in _PARTS else option


def _short(option: str) -> str:
    """Write an option as it is given on the command line."""
    part = option.removesuffix(".name")
    return part if part in _PARTS else option
