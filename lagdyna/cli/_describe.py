"""Descriptions of the parts of a config, made from their classes."""

import dataclasses
import inspect
import re
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from .._errors import UserError
from ..options import Family, Part, described, table_of
from ..parts import AGENTS, ALGORITHMS, LEARNERS, LOSSES, MODELS, LearnerConfig, SolverConfig

FAMILIES: Mapping[str, Family] = {
    "model": MODELS,
    "learner": LEARNERS,
    "loss": LOSSES,
    "agent": AGENTS,
    "agent.algorithm": ALGORITHMS,
}


class Option(NamedTuple):
    """Option of a part.

    **Attributes:**

    - `name`: path in configs and on the command line, such as `learner.rate`.
    - `type`: what is accepted, such as `float > 0`.
    - `default`: the default as plain values; `None` if it is left open.
    - `required`: whether there is no default.
    - `text`: the description.
    """

    name: str
    type: str
    default: Any
    required: bool
    text: str


class Variant(NamedTuple):
    """Variant of a part.

    **Attributes:** `part`, such as `learner`; `name`, such as `ekf`; `default`, whether it is
    the default of its part; `summary`, its first line; `text`, its whole description;
    `options`.
    """

    part: str
    name: str
    default: bool
    summary: str
    text: str
    options: tuple[Option, ...]


def describe_part(part: str) -> list[Variant]:
    """Describe all variants of a part, those of installed packages included."""
    if part == "solver":
        from ..simulate import SOLVERS

        return [describe_solver(name) for name in SOLVERS]
    return [_described_or_reason(part, name) for name in FAMILIES[part].names]


def describe_variant(part: str, name: str) -> Variant:
    """Describe a variant of a part: lagdyna's own, an installed one, or `FILE.py:NAME`.

    **Raises:** `UserError` if there is none of that name.
    """
    if part == "solver":
        return describe_solver(name)
    family = FAMILIES[part]
    found = family.find(name, part)
    kind = found if isinstance(found, type) else type(found)
    # A class without a docstring would inherit that of its base.
    text = _plain(described(kind)[0]) if kind.__doc__ else ""
    summary = _first_line(kind) if kind.__doc__ else ""
    return Variant(
        part, name, name == family.default, summary, text, tuple(_options(found, part))
    )


def describe_solver(name: str) -> Variant:
    """Describe a solver, with the options that all solvers have.

    **Raises:** `UserError` if there is none of that name.
    """
    from ..simulate import get_solver

    try:
        summary = _first_line(type(get_solver(name)))
    except ValueError as error:
        raise UserError(str(error)) from error
    options = (each for each in _options(SolverConfig, "solver") if each.name != "solver.name")
    default = name == SolverConfig().name
    return Variant("solver", name, default, summary, summary, tuple(options))


def _described_or_reason(part: str, name: str) -> Variant:
    """Describe a variant; of one that cannot be loaded, say why."""
    try:
        return describe_variant(part, name)
    except UserError as error:
        return Variant(part, name, False, str(error), str(error), ())


def _options(given: Any, path: str) -> list[Option]:
    """Describe the options of a config class, or of an instance, whose values are defaults."""
    kind = given if isinstance(given, type) else type(given)
    texts, options = described(kind)[1], []
    for name, accepted, default in _fields(given):
        where, text = f"{path}.{name}", _plain(texts.get(name, "")) + _usual(kind, name)
        nested = _nested(accepted)
        if nested is not None:
            values = nested if default is None or isinstance(default, type) else default
            options += _options(values, where)
            continue
        required = default is msgspec.NODEFAULT or default is dataclasses.MISSING
        if isinstance(default, Part):
            default = default.name
        value = None if required else table_of(default)
        options.append(Option(where, _type_text(accepted), value, required, text))
    return options


def _fields(given: Any) -> list[tuple[str, Any, Any]]:
    """Name, type and default of each field of a part or a dataclass."""
    kind = given if isinstance(given, type) else type(given)
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = (
        msgspec.structs.fields(kind) if issubclass(kind, Part) else dataclasses.fields(kind)
    )
    found = []
    for each in fields:
        default = each.default if given is kind else getattr(given, each.name)
        factory = each.default_factory
        if given is kind and callable(factory):
            default = factory()
        found.append((each.name, hints[each.name], default))
    return found


def _usual(kind: type, name: str) -> str:
    """Describe the default of a learner's option that depends on the kind of run."""
    if not issubclass(kind, LearnerConfig) or name not in ("updates", "batch"):
        return ""
    phase, fit = getattr(kind.usual_phase, name), getattr(kind.usual_fit, name)
    if phase == fit:
        return f" By default {fit}."
    return f" By default {phase} in a training phase, {fit} in a fit."


def _nested(kind: Any) -> type | None:
    """The dataclass of a table of options, if an option accepts one."""
    for each in (kind, *typing.get_args(kind)):
        if isinstance(each, type) and dataclasses.is_dataclass(each):
            return each
    return None


def _type_text(kind: Any) -> str:
    """Describe the values that a type accepts."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        bounds = " and ".join(_bounds(arguments[1:]))
        return f"{_type_text(arguments[0])} {bounds}".strip()
    if origin is Literal:
        return ", ".join(map(str, arguments))
    if origin is tuple and arguments:
        return f"list of {_type_text(arguments[0])}"
    if len(arguments) > 1:  # a union
        return " or ".join(_type_text(each) for each in arguments if each is not type(None))
    family = getattr(kind, "family", None)
    if isinstance(family, Family):
        return f"{', '.join(family.variants)}, or FILE.py:NAME"
    return getattr(kind, "__name__", str(kind))


def _bounds(annotations: tuple[Any, ...]) -> list[str]:
    """Describe the bounds of a number."""
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
    return [
        f"{sign} {getattr(each, name)}"
        for each in annotations
        if isinstance(each, msgspec.Meta)
        for name, sign in signs.items()
        if getattr(each, name) is not None
    ]


def _first_line(kind: type) -> str:
    return _plain((inspect.getdoc(kind) or "").partition("\n")[0])


def _plain(text: str) -> str:
    """Remove the marks of cross references, and sections that follow the text."""
    return re.sub(r"\[(`[^`]+`)\]\[\]", r"\1", text).partition("**")[0].rstrip()
