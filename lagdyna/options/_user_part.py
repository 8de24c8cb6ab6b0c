import importlib.util
import sys
from pathlib import Path
from typing import Any

from .._errors import UserError
from ._origin import located

_loaded: dict[tuple[Path, int, int], Any] = {}


def names_code(spec: str) -> bool:
    """Whether a text is `FILE.py:NAME`, whose file is run to find the object."""
    return ".py:" in spec or Path(spec.rpartition(":")[0]).suffix == ".py"


def user_part(option: str, spec: str) -> Any:
    """Load an object from a user's own Python file, which is run for it.

    A file that has not changed is run once per process.

    **Arguments:** `option`, the option's name, for messages; `spec`, such as `arm.py:system`.

    **Raises:** `UserError` if there is no such file or object, or the file fails.
    """
    file, colon, name = spec.rpartition(":")
    path = Path(located(file))
    if not colon or path.suffix != ".py" or not name.isidentifier():
        raise UserError(
            f"`{option}` was {spec!r}; a Python file and a name in it, as arm.py:system, "
            "are accepted"
        )
    if not path.is_file():
        raise UserError(f"`{option}` was {spec!r}, and there is no file {file!r}")
    module = _module(option, spec, path)
    try:
        return getattr(module, name)
    except AttributeError:
        raise UserError(f"`{option}` was {spec!r}, and {file!r} has no {name!r}") from None


def _module(option: str, spec: str, path: Path) -> Any:
    status = path.stat()
    key = (path.resolve(), status.st_mtime_ns, status.st_size)
    if key in _loaded:
        return _loaded[key]
    module_spec = importlib.util.spec_from_file_location(f"_lagdyna_user_{path.stem}", path)
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_spec.name] = module  # dataclasses look their module up
    try:
        module_spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(
            f"`{option}` was {spec!r}, and running {str(path)!r} failed: "
            f"{type(error).__name__}: {error}"
        ) from error
    _loaded[key] = module
    return module
