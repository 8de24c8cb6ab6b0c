"""Environments from `gymnasium.make`, with the arguments and wrappers of a task."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import load_env_creator

from .._errors import UserError
from ..options import user_part


@dataclass(frozen=True, kw_only=True)
class WrapperSpec:
    """Wrapper of an environment.

    **Arguments:**

    - `name`: a wrapper of `gymnasium.wrappers`, such as `"RescaleObservation"`, or your own as
        `FILE.py:NAME` or `MODULE:NAME`.
    - `arguments`: its keyword arguments.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @classmethod
    def named(cls, name: str) -> "WrapperSpec":
        """Create a wrapper without arguments."""
        return cls(name=name)


def make(
    env_id: str,
    arguments: Mapping[str, Any],
    wrappers: tuple[WrapperSpec, ...],
    mode: Mapping[str, Any],
) -> gym.Env:
    """Make an environment, and wrap it in the order of its wrappers.

    **Arguments:**

    - `env_id`: as in `gymnasium.make`.
    - `arguments`: keyword arguments of `gymnasium.make`.
    - `wrappers`: the innermost first.
    - `mode`: `render_mode`, if the environment renders.

    **Raises:** `ValueError` if an argument or a wrapper is not accepted. The errors of
    `gymnasium.make` if there is no such environment or it needs more packages.
    """
    if "render_mode" in arguments:
        raise ValueError("`task.make.render_mode` was given; lagdyna sets it, leave it out")
    try:
        env = gym.make(env_id, **arguments, **mode)
    except (gym.error.Error, ImportError):
        raise
    except Exception as error:  # whatever the environment's constructor or module raises
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        if arguments:
            raise ValueError(
                f"`task.make` was {dict(arguments)}, which {env_id!r} does not accept: {reason}"
            ) from error
        raise ValueError(f"`env_id` was {env_id!r}, which cannot be made: {reason}") from error
    for i, wrapper in enumerate(wrappers):
        option = f"task.wrappers[{i}]"
        try:
            env = _wrapped(option, env, wrapper)
        except ValueError:
            env.close()
            raise
    return env


def without_module(env_id: str, error: Exception) -> str | None:
    """Explain that the module of an `env_id` is missing; `None` for another error."""
    module, colon, _ = env_id.partition(":")
    cause = error.__cause__ if isinstance(error.__cause__, ImportError) else error
    first = module.partition(".")[0]
    if not colon or getattr(cause, "name", None) not in (module, first):
        return None
    return (
        f"`env_id` was {env_id!r}, and Python finds no module {module!r}; run in the folder "
        f"that holds {first}.py, or add that folder to PYTHONPATH"
    )


def _wrapped(option: str, env: gym.Env, wrapper: WrapperSpec) -> gym.Env:
    """Apply one wrapper.

    **Raises:** `ValueError` if there is none of that name, or it does not accept the
    environment or its arguments.
    """
    kind = _wrapper_class(option, wrapper.name)
    try:
        found = kind(env, **wrapper.arguments)
    except Exception as error:  # whatever the wrapper raises
        raise ValueError(
            f"`{option}` was {wrapper.name!r} with the arguments {dict(wrapper.arguments)}, "
            f"which it does not accept: {type(error).__name__}: "
            f"{' '.join(str(error).split())[:300]}"
        ) from error
    if not isinstance(found, gym.Env):
        raise ValueError(
            f"`{option}` was {wrapper.name!r}, which is no wrapper of an environment; a "
            "subclass of gymnasium.Wrapper is accepted"
        )
    return found


def _wrapper_class(option: str, name: str) -> Any:
    """Look up a wrapper by name."""
    if ".py:" in name:
        return user_part(f"{option}.name", name)
    if ":" in name:
        try:
            return load_env_creator(name)
        except Exception as error:  # whatever importing the module raises
            raise UserError(
                f"`{option}.name` was {name!r}, and loading it failed: "
                f"{type(error).__name__}: {error}"
            ) from error
    names = [each for each in gym.wrappers.__all__ if each[0].isupper()]
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        hint = f"nearest: {', '.join(near)}; " if near else ""
        raise ValueError(
            f"`{option}.name` was {name!r}; {hint}a wrapper of gymnasium.wrappers, or your own "
            "as FILE.py:NAME or MODULE:NAME, is accepted"
        )
    return getattr(gym.wrappers, name)
