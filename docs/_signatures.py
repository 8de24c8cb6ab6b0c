"""A Griffe extension: signatures of modules, named tuples and configs from their fields.

Griffe reads source without running it, and derives constructors only of classes that are
decorated as dataclasses. Equinox modules are dataclasses by inheritance; the parts of a config
are structs of msgspec, which take their fields by keyword.
"""

from collections.abc import Iterator
from typing import Any

from griffe import (
    Alias,
    Attribute,
    Class,
    Expr,
    ExprCall,
    ExprLambda,
    Extension,
    Function,
    Module,
    Object,
    Parameter,
    ParameterKind,
    Parameters,
)

_STRUCT = "msgspec.Struct"
_BASES = {"equinox.Module", "typing.NamedTuple", _STRUCT}
_UNSAID = {"equinox.Module", "typing.Generic", _STRUCT}


class FieldSignatures(Extension):
    """Gives classes made of fields the constructor that they have when they run."""

    def on_package(self, *, pkg: Module, **kwargs: Any) -> None:
        """Runs once, when the package has been read."""
        classes = list(_classes(pkg))
        modules = [class_ for class_ in classes if _has_base(class_, _BASES)]
        written = {each.path for each in modules if "__init__" in each.members}
        for class_ in modules:
            by_keyword = _has_base(class_, {_STRUCT})
            if any(each.path in written for each in (class_, *class_.mro())):
                continue
            fields = [p for parent in reversed(class_.mro()) for p in _fields(parent)]
            fields += _fields(class_)
            if fields:
                this = Parameter("self", kind=ParameterKind.positional_or_keyword)
                class_.set_member("__init__", Function("__init__", parameters=Parameters(this)))
                for field in {field.name: field for field in fields}.values():
                    if by_keyword:
                        field.kind = ParameterKind.keyword_only
                    class_.members["__init__"].parameters.add(field)
        for class_ in modules:
            # These bases say nothing to a reader.
            class_.bases = [base for base in class_.bases if _path(base) not in _UNSAID]
        for class_ in classes:
            for member in class_.members.values():
                # A default made by a function is shown as what the function says.
                made = [e for e in _expressions(member) if isinstance(e, ExprLambda)]
                if made and isinstance(member, Attribute):
                    member.value = made[0].body


def _classes(module: Module) -> Iterator[Class]:
    for member in module.members.values():
        if member.is_alias:
            continue
        if member.is_module:
            yield from _classes(member)
        elif member.is_class:
            yield member


def _has_base(class_: Class, names: set[str]) -> bool:
    bases = [base for parent in (class_, *class_.mro()) for base in parent.bases]
    return not names.isdisjoint(map(_path, bases))


def _expressions(member: Object | Alias) -> Iterator[str | Expr]:
    call = member.value if isinstance(member, Attribute) else None
    for argument in call.arguments if isinstance(call, ExprCall) else ():
        yield getattr(argument, "value", argument)


def _path(base: str | Expr) -> str:
    return base.canonical_path if isinstance(base, Expr) else base


def _fields(class_: Class) -> list[Parameter]:
    fields = []
    for name, member in class_.members.items():
        if not isinstance(member, Attribute) or member.annotation is None:
            continue
        if "property" in member.labels or "AbstractVar" in str(member.annotation):
            continue
        if "instance-attribute" not in member.labels:  # a `ClassVar`
            continue
        default = member.value
        if isinstance(default, ExprCall) and str(default.function) == "eqx.field":
            given = {getattr(a, "name", ""): getattr(a, "value", a) for a in default.arguments}
            default = given.get("default")
        kind = ParameterKind.positional_or_keyword
        fields.append(Parameter(name, annotation=member.annotation, kind=kind, default=default))
    return fields
