from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

_LINK = 0.12  # length of either link in dm_control's reacher.xml, metres


class ReacherTarget(gym.ObservationWrapper):
    """Wrapper that adds the position of the target to observations of dm_control's reacher.

    Observations of the environment contain the vector from fingertip to target. The position
    of the target is the sum of that vector and the position of the fingertip. The fingertip
    follows from both angles and the lengths of the links. `reset` computes the target once per
    episode. It is the last two entries of each observation.

    **Arguments:**

    - `env`: an environment with observations `position` (both angles), `to_target` and
        `velocity`.
    """

    def __init__(self, env: gym.Env):
        super().__init__(env)
        found: Any = env.observation_space
        bounds = spaces.Box(-np.inf, np.inf, (2,), np.float64)
        self.observation_space = spaces.Dict([*found.items(), ("target", bounds)])
        self._target = np.zeros(2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        first, second = observation["position"]
        directions = np.asarray([first, first + second])
        fingertip = _LINK * np.asarray([np.cos(directions).sum(), np.sin(directions).sum()])
        self._target = fingertip + observation["to_target"]
        return self.observation(observation), info

    def observation(self, observation: Any) -> Any:
        return {**observation, "target": self._target.copy()}
