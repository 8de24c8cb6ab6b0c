"""Adapters of environments that follow older or looser conventions."""

import inspect
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from ._faults import EnvironmentFault


class CurrentAPI(gym.Wrapper):
    """Wrapper that gives an environment the signatures of Gymnasium today.

    It accepts `step` with four values, `(observation, reward, done, info)`; `reset` without
    info, or without `seed`; rewards that are arrays of one element; and observations that are
    lists.

    **Raises:** [`lagdyna.tasks.EnvironmentFault`][] in `reset` and `step` if what they return
    is none of these.
    """

    def __init__(self, env: gym.Env):
        super().__init__(env)
        self._accepted = _accepted(env.reset) & {"seed", "options"}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        given = {"seed": seed, "options": options}
        if "seed" not in self._accepted and seed is not None:
            # The convention before Gym 0.26.
            seeding = getattr(self.env, "seed", None)
            if callable(seeding):
                seeding(seed)
        result = self.env.reset(**{name: given[name] for name in self._accepted})
        if isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict):
            observation, info = result
        else:
            observation, info = result, {}
        return self._array(observation), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        result = self.env.step(action)
        if not isinstance(result, tuple | list) or len(result) not in (4, 5):
            listed = isinstance(result, tuple | list)
            found = f"{len(result)} values" if listed else str(type(result))
            raise EnvironmentFault(
                f"`step` of {self.env.unwrapped} returned {found}; (observation, reward, "
                "terminated, truncated, info) and (observation, reward, done, info) are "
                "accepted"
            )
        observation, reward, *flags, info = result
        if len(flags) == 1:
            cut = bool(info.get("TimeLimit.truncated", False))
            flags = [bool(flags[0]) and not cut, bool(flags[0]) and cut]
        terminated, truncated = map(bool, flags)
        return (
            self._array(observation),
            _number(reward, self.env),
            terminated,
            truncated,
            info,
        )

    def _array(self, observation: Any) -> Any:
        if isinstance(self.env.observation_space, spaces.Box):
            return np.asarray(observation)
        return observation


def _accepted(reset: Callable[..., Any]) -> set[str]:
    """List the names of arguments that a method takes."""
    parameters = inspect.signature(reset).parameters.values()
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters):
        return {"seed", "options"}
    return {each.name for each in parameters}


def _number(reward: Any, env: gym.Env) -> Any:
    """Convert a reward of one element to a number; numbers are returned as they are."""
    if isinstance(reward, int | float | np.integer | np.floating):
        return reward
    array = np.asarray(reward)
    if array.size != 1 or array.dtype.kind not in "biuf":
        raise EnvironmentFault(
            f"`step` of {env.unwrapped} returned the reward {str(reward)[:60]}; one number is "
            "accepted"
        )
    return array.item()


def adapted(env: gym.Env) -> gym.Env:
    """Give an environment today's signatures, below the wrappers that need them.

    Observations that are dictionaries or tuples are flattened in the order of their space.
    """
    if isinstance(env, gym.Wrapper):
        inner = env
        while isinstance(inner.env, gym.Wrapper):
            inner = inner.env
        inner.env = CurrentAPI(inner.env)
    else:
        env = CurrentAPI(env)
    if isinstance(env.observation_space, spaces.Dict | spaces.Tuple):
        return gym.wrappers.FlattenObservation(env)
    return env
