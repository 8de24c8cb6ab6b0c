"""Imports of a package's public names on first use."""

import importlib
import sys
from collections.abc import Callable, Mapping
from types import ModuleType


def lazy_names(
    package: str, names: Mapping[str, str | None]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Create the `__getattr__` and `__dir__` of a package that imports names on first use.

    `dir` also lists the names that the package has imported already.

    **Arguments:** `package`, its `__name__`; `names`, for each public name the module relative
    to the package that defines it, or `None` for a submodule.
    """

    def get(name: str) -> object:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        source = names[name]
        if source is None:
            return importlib.import_module(f".{name}", package)
        found = getattr(importlib.import_module(f".{source}", package), name)
        setattr(sys.modules[package], name, found)
        return found

    def listed() -> list[str]:
        imported = [
            name
            for name, value in vars(sys.modules[package]).items()
            if not name.startswith("_") and not isinstance(value, ModuleType)
        ]
        return sorted({*names, *imported} - {"TYPE_CHECKING", "lazy_names"})

    return get, listed
