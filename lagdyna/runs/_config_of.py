"""Configs of run directories, with the objects that a caller gives again."""

import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from .._errors import UserError
from ..config import Config, FitConfig, config_from_table
from ..options import Part, check_unchanged, convert, read_table
from ..parts import AgentConfig, DynamicsConfig, LearnerConfig
from ..results import check_kind, kind_of, read_notes
from ..tasks import TaskSpec
from ._trust import Trust, check_trusted

Kind = TypeVar("Kind")


class Objects(NamedTuple):
    """Parts that a caller gives, in place of those of a config: names, objects or classes.

    **Attributes:**

    - `model`, `learner`, `agent`: `None` for those of the config.
    - `equations`: options of the model that are given as objects, of `known` and `residual`.
    - `trust`: whether code that a stored config names may be run, or the options that name it.
    """

    model: DynamicsConfig | type[DynamicsConfig] | str | None = None
    learner: LearnerConfig | type[LearnerConfig] | str | None = None
    agent: AgentConfig | type[AgentConfig] | str | None = None
    equations: tuple[str, ...] = ()
    trust: Trust = False

    @property
    def given(self) -> dict[str, Any]:
        """Parts that were given, by the section of the config."""
        parts = {name: getattr(self, name) for name in ("model", "learner", "agent")}
        return {name: each for name, each in parts.items() if each is not None}

    @property
    def replaced(self) -> set[str]:
        """Options whose stored value is not used; `PART.*` stands for all of a part."""
        names = {f"model.{name}" for name in self.equations}
        for name, each in self.given.items():
            names.add(f"{name}.name" if isinstance(each, type | str) else f"{name}.*")
        return names


def objects_of(
    model: Any = None,
    learner: Any = None,
    agent: Any = None,
    known: Any = None,
    trust: Trust = False,
    residual: Any = None,
) -> Objects:
    """Collect what a caller gives beside a run directory."""
    equations = {"known": known, "residual": residual}
    names = tuple(name for name, each in equations.items() if each is not None)
    return Objects(model, learner, agent, names, trust)


def training_config(
    given: Config | TaskSpec | str, objects: Objects, **options: int | None
) -> Config:
    """Convert what a caller gives to `train` to a config.

    **Arguments:** `options`, of the config, such as `steps`; `None` leaves them as they are.

    **Raises:** `UserError` if it is neither a config nor a task.
    """
    if isinstance(given, Path) or (isinstance(given, str) and given.endswith(".toml")):
        raise UserError(
            f"`config` was {str(given)!r}; the name of a task, a TaskSpec or a Config is "
            f"accepted: load_config({str(given)!r}) of lagdyna.config reads one from a file"
        )
    changes: dict[str, Any] = {n: x for n, x in options.items() if x is not None}
    changes |= objects.given
    if isinstance(given, str | TaskSpec):
        return Config(task=given, **changes)
    if not isinstance(given, Config):
        raise UserError(
            f"`config` was {_said(given)}; the name of a task, a TaskSpec or a Config is "
            f"accepted{_instead(given)}"
        )
    return Config(**{**_fields(given), **changes})


def config_of(run: Path, objects: Objects = Objects()) -> Config:
    """Read the config in a run's directory.

    **Raises:** `UserError` if it holds no run of one seed.
    """
    if kind_of(run) == "seeds":
        held = sorted(path.name for path in run.glob("seed-*"))
        raise UserError(
            f"`run` was {str(run)!r}, which holds a run of several seeds; the directory of "
            f"one of them is accepted: {', '.join(held)}"
        )
    check_kind(run, "train")
    return stored_config(run, objects)


def stored_config(run: Path, objects: Objects) -> Config:
    """Read the config of a run directory, with the objects that its parts are.

    **Raises:** `UserError` if it is damaged or names an object that was not given.
    """
    return stored(run, objects, config_from_table)


def stored(run: Path, objects: Objects, parse: Callable[[Mapping[str, Any]], Kind]) -> Kind:
    """Read a config, its parts replaced by the objects that they are.

    **Arguments:** `parse`, the conversion of a table to the config.

    **Raises:** `UserError` as that, with the path of the file; or if the config names code
    that is not trusted.
    """
    path = run / "config.toml"
    if not path.exists():
        raise UserError(
            f"{str(run)!r} has no config.toml: the run was stopped before it began, or the "
            "file was deleted; start it again in a new directory"
        )
    table = read_table(path)
    check_trusted(path, table, objects.trust, objects.replaced)
    _check_begun(run, table)
    try:
        for name, part in objects.given.items():
            table[name] = _restored(table.get(name), part, name)
        return parse(table)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


class _Notes(msgspec.Struct):
    """Notes of any checkpoint."""

    config: str


def _check_begun(run: Path, table: dict[str, Any]) -> None:
    """Refuse values that are not those of the checkpoint, before anything is built of them.

    **Raises:** `UserError` that names what differs.
    """
    checkpoint = run / "checkpoint" / "training.npz"
    if not os.path.lexists(checkpoint):
        return
    notes = read_notes(checkpoint, _Notes)
    try:
        before = tomllib.loads(notes["config"])
    except ValueError as error:
        raise UserError(f"{str(checkpoint)!r} is damaged: its config is not TOML") from error
    old, new = _common(before, table)
    check_unchanged(str(run), *without_extension(old, new))


def without_extension(before: Any, now: Any) -> tuple[Any, Any]:
    """Leave out a number of steps or updates that is larger in a checkpoint than in a config.

    An extension of the run writes the checkpoint first, so this is one that was interrupted.
    """
    for name in ("steps", "updates"):
        old, new = before.get(name), now.get(name)
        if type(old) is int and type(new) is int and old > new:
            before, now = ({k: v for k, v in x.items() if k != name} for x in (before, now))
    old, new = before.get("learner"), now.get("learner")
    if isinstance(old, dict) and isinstance(new, dict):
        old, new = without_extension(old, new)
        before, now = {**before, "learner": old}, {**now, "learner": new}
    return before, now


def _common(before: dict[str, Any], now: dict[str, Any]) -> tuple[Any, Any]:
    """Keep the options that both tables have; those that one leaves out have defaults."""
    old, new = {}, {}
    for name in before.keys() & now.keys():
        old[name], new[name] = before[name], now[name]
        if isinstance(old[name], dict) and isinstance(new[name], dict):
            old[name], new[name] = _common(old[name], new[name])
    return old, new


def _restored(options: Any, part: Any, name: str) -> Part | dict[str, Any]:
    """Apply stored options to a class or a name; an instance has its own."""
    table = {key: value for key, value in (options or {}).items() if key != "name"}
    if isinstance(part, str):
        return {"name": part, **table}
    return convert(table, part, name) if isinstance(part, type) else part


def _instead(given: Any) -> str:
    """Say what to write in place of an environment or a config of a fit."""
    name = getattr(getattr(given, "spec", None), "id", None)
    if isinstance(name, str):  # an environment of Gymnasium
        return (
            f"; the run makes its environments itself: give the name {name!r}, or describe "
            f"the environment by a TaskSpec with env_id={name!r}"
        )
    return "; lagdyna.fit takes a FitConfig" if isinstance(given, FitConfig) else ""


def _fields(config: Config) -> dict[str, Any]:
    return {name: getattr(config, name) for name in config.__dataclass_fields__}


def _said(given: Any) -> str:
    return (
        given.__name__
        if isinstance(given, type)
        else f"an object of type {type(given).__name__}"
    )
