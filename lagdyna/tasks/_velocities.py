"""Velocities that are estimated from the positions of an episode."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from jaxtyping import Float

from ._read_state import read_positions
from ._spec import TaskSpec


class EstimatedVelocities(gym.Wrapper):
    """Wrapper that appends estimated velocities to observations of positions.

    It appends a velocity for each coordinate whose description has no `velocity`, in their
    order. Each estimate depends on the positions of the same episode so far, and no others.
    With the differences `d_k = (q_k - q_(k-1)) / dt`, those of angles over the shorter way
    around the circle, the estimate is

    - `d_k` for `velocity_order = 1`;
    - `(3 d_k - d_(k-1)) / 2`, that is `(3 q_k - 4 q_(k-1) + q_(k-2)) / (2 dt)`, for
        `velocity_order = 2`. It is exact for constant acceleration.

    After a reset it is `start_velocity`, or 0 where that is unknown. After the first step it is
    `d_1`, or `2 d_1 - start_velocity` for the second order. It is clipped at `velocity_limit`.

    **Arguments:**

    - `env`: environment whose observations are vectors.
    - `spec`: description of the environment.
    """

    def __init__(self, env: gym.Env, spec: TaskSpec):
        super().__init__(env)
        self._spec = spec
        chosen = [c for c in spec.coordinates if c.velocity is None]
        self._dt = spec.dt
        self._chosen = np.array([c.velocity is None for c in spec.coordinates])
        self._angles = np.array([c.kind == "angle" for c in chosen])
        self._second = np.array([c.velocity_order != 1 for c in chosen])
        starts = [np.nan if c.start_velocity is None else c.start_velocity for c in chosen]
        self._start = np.array(starts, float)
        self._limit = np.array([c.velocity_limit or np.inf for c in chosen])
        self._position: np.ndarray | None = None
        self._difference: np.ndarray | None = None
        space: Any = env.observation_space
        dtype = np.result_type(space.dtype, np.float32)
        self.observation_space = spaces.Box(
            np.concatenate([space.low, -self._limit]).astype(dtype),
            np.concatenate([space.high, self._limit]).astype(dtype),
            dtype=dtype,
        )

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(**options)
        self._position = self._difference = None
        return self._extended(observation), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._extended(observation), reward, terminated, truncated, info

    def _extended(self, observation: np.ndarray) -> np.ndarray:
        whole = read_positions(self._spec, np.asarray(observation, float))
        position = np.stack(whole)[self._chosen]
        velocity = np.clip(self._estimate(position), -self._limit, self._limit)
        dtype = self.observation_space.dtype
        return np.concatenate([observation, velocity]).astype(dtype)

    def _estimate(self, position: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        """Estimate the velocities, and remember the position and its change."""
        before, last = self._position, self._difference
        self._position = position
        known = np.isfinite(self._start)
        if before is None:
            return np.where(known, self._start, 0.0)
        change = position - before
        turned = np.arctan2(np.sin(change), np.cos(change))
        difference = np.where(self._angles, turned, change) / self._dt
        self._difference = difference
        if last is None:
            exact = 2 * difference - np.where(known, self._start, 0.0)
            return np.where(self._second & known, exact, difference)
        return np.where(self._second, 1.5 * difference - 0.5 * last, difference)
