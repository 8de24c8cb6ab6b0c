"""Velocities that are estimated from the positions of an episode."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from ..runtime import VelocityEstimator
from ._spec import TaskSpec


class EstimatedVelocities(gym.Wrapper):
    """Wrapper that appends estimated velocities to observations of positions.

    It appends a velocity for each coordinate whose description has no `velocity`, in their
    order, as [`lagdyna.runtime.VelocityEstimator`][] estimates it.

    **Arguments:**

    - `env`: environment whose observations are vectors.
    - `spec`: description of the environment.
    """

    def __init__(self, env: gym.Env, spec: TaskSpec):
        super().__init__(env)
        self._estimator = VelocityEstimator(spec)
        self._history = self._estimator.begin()
        space: Any = env.observation_space
        dtype = np.result_type(space.dtype, np.float32)
        limit = self._estimator.limit
        self.observation_space = spaces.Box(
            np.concatenate([space.low, -limit]).astype(dtype),
            np.concatenate([space.high, limit]).astype(dtype),
            dtype=dtype,
        )

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(**options)
        self._history = self._estimator.begin()
        return self._extended(observation), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._extended(observation), reward, terminated, truncated, info

    def _extended(self, observation: np.ndarray) -> np.ndarray:
        velocity, self._history = self._estimator.estimate(observation, self._history)
        dtype = self.observation_space.dtype
        return np.concatenate([observation, velocity]).astype(dtype)
