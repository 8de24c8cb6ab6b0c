"""Configs of run directories, with the objects that a caller gives again."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from .._errors import UserError
from ..config import Config, FitConfig, config_from_table
from ..options import Part, convert, read_table
from ..parts import AgentConfig, DynamicsConfig, LearnerConfig
from ..tasks import TaskSpec

Kind = TypeVar("Kind")


class Objects(NamedTuple):
    """Parts that a caller gives, in place of those of a config: names, objects or classes.

    **Attributes:** `model`, `learner`, `agent`; `None` for those of the config.
    """

    model: DynamicsConfig | type[DynamicsConfig] | str | None = None
    learner: LearnerConfig | type[LearnerConfig] | str | None = None
    agent: AgentConfig | type[AgentConfig] | str | None = None

    @property
    def given(self) -> dict[str, Any]:
        """Parts that were given, by the section of the config."""
        return {name: each for name, each in self._asdict().items() if each is not None}


def training_config(given: Config | TaskSpec | str, objects: Objects) -> Config:
    """Convert what a caller gives to `train` to a config.

    **Raises:** `UserError` if it is neither a config nor a task.
    """
    if isinstance(given, Path) or (isinstance(given, str) and given.endswith(".toml")):
        raise UserError(
            f"`config` was {str(given)!r}; the name of a task, a TaskSpec or a Config is "
            f"accepted: load_config({str(given)!r}) of lagdyna.config reads one from a file"
        )
    if isinstance(given, str | TaskSpec):
        return Config(task=given, **objects.given)
    if not isinstance(given, Config):
        raise UserError(
            f"`config` was {_said(given)}; the name of a task, a TaskSpec or a Config is "
            f"accepted{_instead(given)}"
        )
    return Config(**{**_fields(given), **objects.given})


def stored_config(run: Path, objects: Objects) -> Config:
    """Read the config of a run directory, with the objects that its parts are.

    **Raises:** `UserError` if it is damaged or names an object that was not given.
    """
    return stored(run, objects, config_from_table)


def stored(run: Path, objects: Objects, parse: Callable[[Mapping[str, Any]], Kind]) -> Kind:
    """Read a config, its parts replaced by the objects that they are.

    **Arguments:** `parse`, the conversion of a table to the config.

    **Raises:** `UserError` as that, with the path of the file.
    """
    path = run / "config.toml"
    table = read_table(path)
    try:
        for name, part in objects.given.items():
            table[name] = _restored(table.get(name), part, name)
        return parse(table)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _restored(options: Any, part: Any, name: str) -> Part | dict[str, Any]:
    """Apply stored options to a class or a name; an instance has its own."""
    table = {key: value for key, value in (options or {}).items() if key != "name"}
    if isinstance(part, str):
        return {"name": part, **table}
    return convert(table, part, name) if isinstance(part, type) else part


def _instead(given: Any) -> str:
    """Say what to write in place of an environment or a config of a fit."""
    spec = getattr(given, "spec", None)
    if isinstance(getattr(spec, "id", None), str):  # an environment of Gymnasium
        return (
            f"; the run makes its environments itself: give the name {spec.id!r}, or describe "
            f"the environment by a TaskSpec with env_id={spec.id!r}"
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
