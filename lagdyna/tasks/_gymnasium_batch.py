from collections.abc import Sequence

import gymnasium as gym
import numpy as np
from jaxtyping import Bool, Float

from ..mechanics import State
from ._gymnasium import GymnasiumTask, check_spaces, close_env, make_env, rescale_action
from ._read_state import read_state
from ._spec import TaskSpec


class GymnasiumBatch:
    """Batch of copies of an environment that are stepped in one call, for evaluation.

    **Arguments:**

    - `spec`: description of the environment.
    - `copies`: number of copies.

    **Raises:** `ValueError` if `copies` is not positive, and the errors of
    [`lagdyna.tasks.GymnasiumTask`][].
    """

    def __init__(self, spec: TaskSpec, copies: int):
        if copies < 1:
            raise ValueError(f"`copies` must be at least 1, got {copies}")
        GymnasiumTask(spec).close()  # runs its checks, for clear error messages
        self.spec = spec
        self._env = gym.vector.SyncVectorEnv([lambda: make_env(spec, None)] * copies)
        self._low, self._high = check_spaces(spec, self._env.envs[0])

    def reset(self, seeds: Sequence[int]) -> State:
        """Start a new episode in each copy and return the first states.

        **Arguments:**

        - `seeds`: one seed per copy.

        **Returns:** the states, NumPy arrays of shape `(copies, n)`.
        """
        observation, _ = self._env.reset(seed=list(seeds))
        return read_state(self.spec, observation)

    def step(
        self, actions: Float[np.ndarray, "copies m"]
    ) -> tuple[State, Float[np.ndarray, " copies"], Bool[np.ndarray, " copies"]]:
        """Hold one action per copy for `spec.repeat` environment steps.

        A copy whose episode has ended starts a new one, possibly within the same action. To
        evaluate single episodes, ignore a copy after its first end.

        **Arguments:**

        - `actions`: controls in `[-1, 1]^m`, shape `(copies, m)`. Values outside are clipped.

        **Returns:** the next states, the sums of the rewards, and whether an episode ended
        within these steps. Steps after the end of an episode do not count.

        **Raises:** the errors of [`lagdyna.tasks.GymnasiumTask.step`][].
        """
        shape = (self._env.num_envs, self.spec.action_size)
        scaled = rescale_action(actions, shape, self._low, self._high)
        total, ended = np.zeros(len(actions)), np.zeros(len(actions), bool)
        last = None
        for _ in range(self.spec.repeat):
            observation, reward, terminated, truncated, _ = self._env.step(scaled)
            last = observation if last is None else np.where(ended[:, None], last, observation)
            total += np.where(ended, 0, reward)
            ended |= terminated | truncated
        assert last is not None
        return read_state(self.spec, last), total, ended

    def close(self) -> None:
        """Close the environments and release their resources."""
        close_env(self._env)
