"""Swappable parts of a config: tagged structs, and the families that they belong to."""

import abc
import difflib
import inspect
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any, ClassVar, TypeVar

import msgspec

from .._errors import UserError
from ._user_part import names_code, user_part


class PartMeta(msgspec.StructMeta, abc.ABCMeta):
    """Metaclass of structs with abstract methods."""


class Part(msgspec.Struct, metaclass=PartMeta, frozen=True, kw_only=True, tag_field="name"):
    """Options of one variant of a part, beside the method that builds it.

    A subclass belongs to the family whose base it extends. Its tag is the name in configs and
    on the command line; the tag of a class outside of lagdyna is its class name.
    """

    family: ClassVar["Family"]
    spec: ClassVar[str | None] = None

    @property
    def name(self) -> str:
        """Name in configs: a tag, an entry point, or `FILE.py:NAME`."""
        return name_of(type(self))


Base = TypeVar("Base", bound=Part)


class Family:
    """Variants of one part, by name.

    **Arguments:**

    - `option`: the option that names the variant, such as `model`.
    - `noun`: a word for one variant, such as `model`.
    - `group`: the entry-point group of installed packages; none by default.
    - `default`: the name of the default variant.
    """

    def __init__(self, option: str, noun: str, default: str, group: str | None = None):
        self.option = option
        self.noun = noun
        self.default = default
        self.group = group
        self.base: type[Part] = Part
        self._variants: dict[str, type[Part]] = {}

    def __call__(self, base: type[Base]) -> type[Base]:
        """Make a class the base of this family; for use as a decorator."""
        base.family = self
        self.base = base
        return base

    def add(self, *variants: type[Part]) -> None:
        """Add lagdyna's own variants."""
        self._variants |= {name_of(each): each for each in variants}

    @property
    def variants(self) -> Mapping[str, type[Part]]:
        """Variants that come with lagdyna, by name."""
        return self._variants

    @property
    def names(self) -> list[str]:
        """Names of all variants, those of installed packages included."""
        return [*self._variants, *(each.name for each in self._installed())]

    def _installed(self) -> Iterator[Any]:
        if self.group is not None:
            yield from entry_points(group=self.group)

    def find(self, name: str, option: str) -> Part | type[Part]:
        """Find a variant by name: lagdyna's own, an installed one, or one in the user's file.

        **Arguments:** `option`, the option's path, for messages.

        **Returns:** the variant's class; from a file or package also an instance of one.

        **Raises:** `UserError` if there is none, or it is no part of this family.
        """
        if name in self._variants:
            return self._variants[name]
        for each in self._installed():
            if each.name == name:
                try:
                    return self.check(each.load(), name, option)
                except UserError:
                    raise
                except Exception as error:  # whatever the package raises when imported
                    raise UserError(
                        f"`{option}` was {name!r}, and loading it from {each.value!r} failed: "
                        f"{type(error).__name__}: {error}"
                    ) from error
        if names_code(name):
            return self.check(user_part(option, name), name, option)
        if ":" in name:
            raise UserError(
                f"`{option}` was {name!r}, an object of Python; give the object again, as "
                f"`{self.option}=...`, or use FILE.py:NAME"
            )
        near = difflib.get_close_matches(name, self.names, n=1, cutoff=0.5)
        hint = _MEANT.get((self.option, name), f"nearest: {near[0]}; " if near else "")
        raise UserError(
            f"`{option}` was {name[:100]!r}; {hint}accepted: {', '.join(self.names)}, or "
            "FILE.py:NAME"
        )

    def check(self, given: Any, name: str | None, option: str) -> Any:
        """Check that an object is a variant of this family, and remember its name.

        **Arguments:** `given`, a subclass of the base or an instance of one; `name`, to be
        remembered as the class's, if it has no other.

        **Raises:** `UserError` if it is not.
        """
        kind = given if isinstance(given, type) else type(given)
        if not issubclass(kind, self.base) or inspect.isabstract(kind):
            what = given.__name__ if isinstance(given, type) else f"a {kind.__name__}"
            raise UserError(
                f"`{option}` was {what if name is None else repr(name)}, which is no "
                f"{self.base.__name__}; a subclass or an instance of one is accepted"
            )
        if name is not None and kind not in self._variants.values():
            kind.spec = name
        return given

    def having(self, option: str) -> list[str]:
        """Names of lagdyna's variants that have an option."""
        return [
            name for name, kind in self._variants.items() if option in kind.__struct_fields__
        ]


# Names that people write for something else.
_MEANT = {("model", "none"): "an agent without a model is dyna with `agent.ratio` 0; "}


def name_of(kind: type[Part]) -> str:
    """Name of a variant's class in configs."""
    if kind.spec is not None:
        return kind.spec
    tag = kind.__struct_config__.tag
    own = kind.__module__.partition(".")[0] == __name__.partition(".")[0]
    return str(tag) if own else f"{kind.__module__}:{kind.__qualname__}"


def described(kind: type) -> tuple[str, dict[str, str]]:
    """Split a config's docstring into its summary and the text of each option."""
    text = inspect.getdoc(kind) or ""
    summary, _, arguments = text.partition("**Arguments:**")
    arguments = re.split(r"\*\*(?:Raises|Attributes|Returns):\*\*", arguments)[0]
    found: dict[str, str] = {}
    for entry in re.split(r"\n- ", arguments)[1:]:
        names, _, what = entry.partition(":")
        what = " ".join(what.split())
        for name in re.findall(r"`(\w+)`", names):
            found[name] = what
    for base in kind.__mro__[1:]:
        if base.__module__.startswith(__name__.partition(".")[0]) and base is not Part:
            found = {**described(base)[1], **found} if base.__doc__ else found
    return " ".join(summary.split()), found
