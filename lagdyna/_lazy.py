"""Imports of a package's public names on first use."""

import importlib
import sys
from collections.abc import Callable, Mapping


def lazy_names(
    package: str, names: Mapping[str, str | None]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Create the `__getattr__` and `__dir__` of a package that imports names on first use.

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

    return get, lambda: sorted(names)
