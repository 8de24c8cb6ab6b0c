"""Errors of environments, and the check of what they return."""

from typing import Any

import gymnasium as gym
import numpy as np

from .._errors import UserError
from ._spec import TaskSpec


class EnvironmentFault(UserError):
    """Error: an environment failed in `reset` or `step`.

    It raised an error of its own, which the message names, or returned what cannot be used.

    **Attributes:** `steps`, environment steps of the same action that were taken before.
    """

    steps: int = 0

    def during(self, what: str) -> "EnvironmentFault":
        """Add to the message what the run was doing, and return the error itself."""
        self.args = (f"{self} ({what})",)
        return self


class ObservationError(EnvironmentFault):
    """Error: an environment returned an invalid observation or reward in `reset` or `step`.

    The observation has another shape than the environment's space or is not finite where the
    state is read, or the reward is not finite.
    """


def sentence(error: BaseException) -> str:
    """Describe an error in one line: its type and the beginning of its text."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__


class CheckedEnv(gym.ObservationWrapper):
    """Wrapper that raises an error for invalid observations and rewards.

    Errors of the environment become a [`lagdyna.tasks.EnvironmentFault`][].
    """

    def __init__(self, env: gym.Env, spec: TaskSpec):
        super().__init__(env)
        self._spec = spec
        # Keep the initial space: a faulty environment may change it later.
        self._space = env.observation_space
        self._entries = sorted(
            {*spec.context, *(i for c in spec.coordinates for i in c.indices)}
        )

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        try:
            return super().reset(**options)
        except EnvironmentFault:
            raise
        except Exception as error:
            raise self._fault("reset", error) from error

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        try:
            observation, reward, terminated, truncated, info = super().step(action)
        except (EnvironmentFault, gym.error.ResetNeeded):
            raise
        except Exception as error:
            raise self._fault("step", error) from error
        if not np.isfinite(float(reward)):
            raise ObservationError(
                f"`env_id` was {self._spec.env_id!r}, which returned a reward of {reward}; "
                "only finite numbers are accepted"
            )
        return observation, reward, terminated, truncated, info

    def observation(self, observation: Any) -> Any:
        subject, space = f"`env_id` was {self._spec.env_id!r}, which", self._space
        if np.shape(observation) != space.shape:
            raise ObservationError(
                f"{subject} returned an observation of shape {np.shape(observation)}; only "
                f"observations in its observation space {space} are accepted"
            )
        for i in self._entries:
            if not np.isfinite(observation[i]):
                raise ObservationError(
                    f"{subject} returned {observation[i]} in entry {i} of an observation; only "
                    "finite numbers are accepted where the state is read"
                )
        return observation

    def _fault(self, method: str, error: Exception) -> EnvironmentFault:
        return EnvironmentFault(
            f"`env_id` was {self._spec.env_id!r}, whose `{method}` raised {sentence(error)}"
        )
