"""Options of the commands: their types, their help texts, and the config that they make."""

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

from cyclopts import Parameter, Token

from .._errors import UserError
from ..options import Family, name_of, parse_value, read_table
from ..parts import (
    AGENTS,
    LEARNERS,
    LOSSES,
    MODELS,
    DynamicsConfig,
    LearnerConfig,
    LossConfig,
    OneStepLossConfig,
    SolverConfig,
)

if TYPE_CHECKING:
    from ..runs import Trust

Converted = TypeVar("Converted")

_FILE = "FILE.py:NAME"


def _whole(kind: type, tokens: Sequence[Token]) -> int:
    """Parse a whole number; Cyclopts itself would take 1.5 for 1."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f"expected a whole number, got {tokens[0].value!r}") from None


def choices(names: Iterable[str], default: str) -> str:
    """List the names that an option accepts, and mark the default."""
    return ", ".join(f"{each} (default)" if each == default else each for each in names)


def _variants(family: Family) -> str:
    return f"{choices(family.variants, family.default)}; or {_FILE}"


def _losses(training: bool) -> str:
    """List the losses that a fit, or a training run, accepts."""
    variants = cast(Mapping[str, type[LossConfig]], LOSSES.variants)
    if not training:
        return _variants(LOSSES)
    names = (name for name, kind in variants.items() if kind.needs is None)
    return f"{choices(names, name_of(OneStepLossConfig))}; or {_FILE}"


def _usual_updates() -> str:
    """List the usual numbers of updates of a fit, by learner."""
    variants = cast(Mapping[str, type[LearnerConfig]], LEARNERS.variants)
    usual = variants[LEARNERS.default].usual_fit.updates
    others: dict[int, list[str]] = {}
    for name, kind in variants.items():
        if kind.usual_fit.updates != usual:
            others.setdefault(kind.usual_fit.updates, []).append(name)
    parts = [f"{count} of {', '.join(names)}" for count, names in others.items()]
    return "; ".join([f"{usual} by default", *parts])


def _with_equations() -> str:
    variants = cast(Mapping[str, type[DynamicsConfig]], MODELS.variants)
    return ", ".join(name for name, kind in variants.items() if kind.equations)


def _named(text: str) -> Parameter:
    return Parameter(show_default=False, help=text)


_EQUATIONS = (
    f"Known equations of motion as {_FILE}, a MechanicalSystem or a Lagrangian; for the models "
    f"{_with_equations()}."
)

Name = Annotated[str | None, Parameter(show_default=False)]
Location = Annotated[Path | None, Parameter(show_default=False)]
Whole = Annotated[int | None, Parameter(show_default=False, converter=_whole)]
Seed = Annotated[int, Parameter(converter=_whole)]
Flag = Annotated[bool, Parameter(negative="", show_default=False)]
Model = Annotated[str | None, _named(f"Dynamics model: {_variants(MODELS)}.")]
Learner = Annotated[
    str | None, _named(f"Learner of the model's weights: {_variants(LEARNERS)}.")
]
Agent = Annotated[str | None, _named(f"Agent: {_variants(AGENTS)}.")]
TrainingLoss = Annotated[str | None, _named(f"Loss of the model: {_losses(training=True)}.")]
FitLoss = Annotated[str | None, _named(f"Loss of the model: {_losses(training=False)}.")]
Solver = Annotated[
    str | None,
    _named(
        f"Solver of the model's equations: one of `lagdyna solvers`; {SolverConfig().name} by "
        "default."
    ),
]
TaskEquations = Annotated[
    str | None, _named(f"{_EQUATIONS} By default those of the task, if it has any.")
]
Equations = Annotated[str | None, _named(_EQUATIONS)]
Updates = Annotated[
    int | None,
    Parameter(
        show_default=False,
        converter=_whole,
        help=f"Updates of the weights: {_usual_updates()}.",
    ),
]
Config = Annotated[
    Path | None, _named("A TOML file with a config. Options of the command line override it.")
]
Settings = Annotated[
    list[str] | None,
    Parameter(
        show_default=False,
        negative="",
        help="Any option of the config, as model.hidden='[32, 32]'; may be given several "
        "times. The short form is --model.hidden '[32, 32]'. `lagdyna parts` lists options.",
    ),
]
Log = Annotated[
    str | None,
    _named(
        "Where to write the numbers of the run too, in its directory: csv, tensorboard or "
        "wandb, or several as csv,wandb."
    ),
]

Trusted = Annotated[
    bool,
    Parameter(
        negative="",
        show_default=False,
        help=f"Run the Python code that the run's config names, {_FILE} or the module of an "
        "environment. Only for run directories that you trust.",
    ),
]
Again = Annotated[
    str | None,
    _named(f"{_FILE} of the run again, which says that this file may be run."),
]
SettingsAgain = Annotated[
    list[str] | None,
    Parameter(
        show_default=False,
        negative="",
        help="Another option of the run again that names code, as task.env_id=mine:My/Env-v0; "
        "may be given several times. The short form is --task.env_id mine:My/Env-v0.",
    ),
]


def trusted(
    trust: bool, named: Mapping[str, str | None], settings: Sequence[str] | None
) -> "Trust":
    """Collect what a command says about the code that a run's config names.

    **Arguments:** `trust`, whether all of it may be run; `named`, values by option, `None` for
    options that were not given; `settings`, texts as `model.known=arm.py:system`.

    **Raises:** `UserError` for a setting without a value.
    """
    again = {name: value for name, value in named.items() if value is not None}
    for setting in settings or []:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UserError(f"`set` was {setting!r}; SECTION.OPTION=VALUE is accepted")
        again[key] = text.strip("\"'")
    if (trust or "task.env_id" in again) and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # where `MODULE:ENVIRONMENT` of the user is looked for
    return True if trust else again


def configured(
    convert: Callable[[dict[str, Any]], Converted],
    file: Path | None,
    named: Mapping[str, Any],
    settings: Sequence[str] | None,
    read: Callable[[Path], dict[str, Any]] = read_table,
) -> Converted:
    """Convert a config file and the options of the command line to a config.

    **Arguments:**

    - `convert`: the conversion of a table.
    - `file`: the config file.
    - `named`: values by option; they override the file. `None` stands for an option that was
        not given.
    - `settings`: texts as `agent.horizon=20`; they override both.
    - `read`: reads the table of the file.

    **Raises:** `UserError` for an option that does not exist, or a value that is not accepted.
    """
    from ..config import override

    table = {} if file is None else read(file)
    for key, value in named.items():
        if value is not None:
            override(table, key, value)
    for setting in settings or []:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UserError(f"`set` was {setting!r}; SECTION.OPTION=VALUE is accepted")
        override(table, key, parse_value(text))
    try:
        return convert(table)
    except UserError as error:
        raise error if file is None else UserError(f"{file}: {error}") from None


def as_settings(tokens: Sequence[str]) -> list[str]:
    """Rewrite `--agent.horizon 20` and `--agent.horizon=20` as `--set agent.horizon=20`.

    A switch, such as `--data.unchecked` or `--signals.delay`, needs no value.

    **Raises:** `UserError` if such an option has no value.
    """
    if not {*tokens[:1]} & {"train", "fit", "sweep", "evaluate", "resume", "check-task"}:
        return [*tokens]
    written, rest = [], [*tokens]
    while rest:
        token, value = rest.pop(0), rest[0] if rest else None
        if _is_switch(token, value):
            written += ["--set", f"{token[2:]}=true"]
        elif re.fullmatch(r"--\w+(\.\w+)+", token):
            if value is None or value.startswith("--"):
                raise UserError(
                    f"`{token}` was given without a value; `{token} VALUE` is accepted"
                )
            written += ["--set", f"{token[2:]}={rest.pop(0)}"]
        elif re.fullmatch(r"--\w+(\.\w+)+=.*", token, re.DOTALL):
            written += ["--set", token[2:]]
        else:
            written.append(token)
    return written


def _is_switch(token: str, value: str | None) -> bool:
    """Whether a token is an option that stands alone, for `true`.

    **Arguments:** `value`, the next token.
    """
    if value in ("true", "false"):
        return False
    if token.startswith("--signals."):
        from ..config import is_signal

        numbers = value is not None and re.fullmatch(r"[-+.\d\[][-+.,\de\s\]]*", value)
        return is_signal(token.removeprefix("--signals.")) and not numbers
    if not token.startswith("--data."):
        return False
    from ..config import DataConfig

    return any(token == f"--data.{x.name}" and x.type is bool for x in fields(DataConfig))


def indices(text: str) -> Any:
    """Split `q0,2` to a list; `all` is returned as it is. The config checks the words."""
    return text if text == "all" else text.split(",")


def mapping(option: str, text: str) -> dict[str, str]:
    """Split `q=pos_*,t=stamp` to names by lagdyna's names.

    **Raises:** `UserError` for other texts.
    """
    pairs = [part.partition("=") for part in text.split(",")]
    found = {name.strip(): value.strip() for name, _, value in pairs}
    if len(found) < len(pairs) or not all(name and value for name, value in found.items()):
        raise UserError(
            f"`--{option}` was {text!r}; names as q=pos_*,t=stamp are accepted, each once; for "
            f"a name with a comma use --data.{option}.q0 NAME"
        )
    return found


def numbers_of(name: str, text: str) -> list[float]:
    """Parse numbers such as `q=3.14,0`.

    **Raises:** `UserError` for other texts.
    """
    try:
        return [float(x) for x in text.removeprefix("q=").split(",")]
    except ValueError as error:
        raise UserError(
            f"`--{name}` was {text!r}; numbers with commas, such as q=3.14,0, are accepted"
        ) from error


def names_of(text: str | None) -> list[str]:
    """Split names at commas; `None` has none."""
    return [] if text is None else [name.strip() for name in text.split(",")]
