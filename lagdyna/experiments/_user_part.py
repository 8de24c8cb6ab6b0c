import importlib.util
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from ..mechanics import MechanicalSystem
from ._errors import UserError


def user_part(option: str, spec: str) -> Any:
    """An object out of a user's own Python file, which is run for it.

    **Arguments:** `option`, the option's name, for messages; `spec`, as `arm.py:system`.

    **Raises:** `UserError` if there is no such file or object, or the file fails.
    """
    file, colon, name = spec.rpartition(":")
    path = Path(file)
    if not colon or path.suffix != ".py" or not name.isidentifier():
        raise UserError(
            f"`{option}` was {spec!r}; a Python file and a name in it, as arm.py:system, "
            "are accepted"
        )
    if not path.is_file():
        raise UserError(f"`{option}` was {spec!r}, and there is no file {file!r}")
    module_spec = importlib.util.spec_from_file_location(f"_lagdyna_user_{path.stem}", path)
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_spec.name] = module  # dataclasses look their module up
    try:
        module_spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(
            f"`{option}` was {spec!r}, and running {file!r} failed: "
            f"{type(error).__name__}: {error}"
        ) from error
    try:
        return getattr(module, name)
    except AttributeError:
        raise UserError(f"`{option}` was {spec!r}, and {file!r} has no {name!r}") from None


def fitting_system(
    given: Any, named: str | None, n: int, actions: int, of: str
) -> MechanicalSystem:
    """What `model.known` named, as a system of `n` coordinates and so many actions.

    **Arguments:** `of`, whose coordinates they are, for messages.

    **Raises:** `UserError` if it is none, or one of other sizes.
    """
    if not isinstance(given, MechanicalSystem):
        raise UserError(
            f"`model.known` was {named!r}, a {type(given).__name__}; a MechanicalSystem or a "
            "Lagrangian is accepted"
        )
    q, action = jnp.zeros(n), jnp.zeros(actions)
    try:
        shape = jax.eval_shape(given.forward_dynamics, q, q, action).shape
    except Exception as error:  # of shapes that do not fit, whatever raises it
        raise UserError(
            f"`model.known` does not fit the {n} coordinates and {actions} actions of {of}: "
            f"{' '.join(str(error).split())[:200]}"
        ) from error
    if shape != (n,):
        raise UserError(
            f"`model.known` gives {shape} accelerations for the {n} coordinates and {actions} "
            f"actions of {of}"
        )
    return given
