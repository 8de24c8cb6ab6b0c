import difflib
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from jaxtyping import Bool, Float

from ..mechanics import State
from ._spec import TaskSpec


class Outcome(NamedTuple):
    """What one action did in the environment.

    **Attributes:** `state`, of `(n,)` NumPy arrays; `reward`, the sum over the steps for which
    the action was held; `terminated`, whether the environment ended there for good;
    `truncated`, whether its time ran out; `steps`, for how many steps of the environment the
    action was held.
    """

    state: State
    reward: float
    terminated: bool
    truncated: bool
    steps: int = 1


class GymnasiumTask:
    """A Gymnasium environment, seen as a mechanical system: `(q, qd)` in, `[-1, 1]^m` out.

    Nothing else in lagdyna knows Gymnasium. The environment is not modified.

    **Arguments:**

    - `spec`: what the environment is and where its observations keep the state.
    - `render_mode`: as for `gymnasium.make`.

    **Raises:** `ValueError` if there is no such environment, its actions are not
    continuous and bounded, or its observation or action does not fit `spec`.
    """

    def __init__(self, spec: TaskSpec, *, render_mode: str | None = None):
        self.spec = spec
        self._env = _make(spec, render_mode)
        try:
            self._low, self._high = _check(spec, self._env)
        except ValueError:
            self._env.close()
            raise

    def reset(self, seed: int | None = None) -> State:
        """The first state of a new episode, of `(n,)` NumPy arrays."""
        observation, _ = self._env.reset(seed=seed)
        return read_state(self.spec, observation)

    def step(self, action: Float[np.ndarray, " m"], most: int | None = None) -> Outcome:
        """Holds `action`, in `[-1, 1]^m`, for `spec.repeat` steps of the environment.

        The end of the episode cuts that short.

        **Arguments:** `most`, for how many steps at most, if those are fewer.

        **Raises:** `ValueError` if `most` is not positive.
        """
        if most is not None and most < 1:
            raise ValueError(f"`most` must be at least 1, got {most}")
        scaled = _scaled(action, self._low, self._high)
        wanted = self.spec.repeat if most is None else min(self.spec.repeat, most)
        total, steps, ended = 0.0, 0, (False, False)
        observation = None
        while steps < wanted and not any(ended):
            observation, reward, *flags, _ = self._env.step(scaled)
            total, steps = total + float(reward), steps + 1
            ended = bool(flags[0]), bool(flags[1])
        assert observation is not None
        return Outcome(read_state(self.spec, observation), total, *ended, steps)

    def render(self) -> np.ndarray:
        """A picture of the current state, `(height, width, 3)`, 8 bit."""
        return np.asarray(self._env.render())

    @property
    def render_modes(self) -> Sequence[str]:
        """The render modes that the environment offers."""
        return self._env.metadata.get("render_modes", ())

    def close(self) -> None:
        """Frees what the environment holds."""
        self._env.close()


class GymnasiumBatch:
    """Several copies of a task's environment, stepped in one call; for evaluation.

    **Arguments:** `spec`, the task; `copies`, how many.

    **Raises:** as [`lagdyna.tasks.GymnasiumTask`][], and `ValueError` if `copies` is not
    positive.
    """

    def __init__(self, spec: TaskSpec, copies: int):
        if copies < 1:
            raise ValueError(f"`copies` must be at least 1, got {copies}")
        GymnasiumTask(spec).close()  # for its checks, and their messages
        self.spec = spec
        self._env = gym.vector.SyncVectorEnv([lambda: _make(spec, None)] * copies)
        self._low, self._high = _check(spec, self._env.envs[0])

    def reset(self, seeds: Sequence[int]) -> State:
        """The first states of new episodes, of `(copies, n)` NumPy arrays."""
        observation, _ = self._env.reset(seed=list(seeds))
        return read_state(self.spec, observation)

    def step(
        self, actions: Float[np.ndarray, "copies m"]
    ) -> tuple[State, Float[np.ndarray, " copies"], Bool[np.ndarray, " copies"]]:
        """Holds an action of each copy for `spec.repeat` steps of the environment.

        **Returns:** the next states, the sums of the rewards, and which episodes ended within
        those steps; what came after an end is not in them. After its episode has ended a copy
        starts a new one, maybe within the same action; who wants single episodes looks no
        further at it.
        """
        scaled = _scaled(actions, self._low, self._high)
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
        """Frees what the environments hold."""
        self._env.close()


def read_state(spec: TaskSpec, observation: Float[np.ndarray, "*batch obs"]) -> State:
    """`(q, qd)` from where `spec` says that an observation keeps them."""
    q, qd = [], []
    for c in spec.coordinates:
        if c.cos is not None and c.sin is not None:
            q.append(np.arctan2(observation[..., c.sin], observation[..., c.cos]))
        else:
            q.append(observation[..., c.position])
        qd.append(observation[..., c.velocity])
    return State(_stacked(q), _stacked(qd))


def _stacked(columns: list[np.ndarray | np.generic]) -> Any:
    """Columns side by side: a NumPy array, as good as JAX's wherever a `State` goes."""
    return np.stack(columns, axis=-1).astype(np.float32)


def _scaled(action: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """From `[-1, 1]` to the environment's own bounds."""
    unit = np.clip(action, -1, 1)
    return (low + 0.5 * (unit + 1) * (high - low)).astype(low.dtype)


def _make(spec: TaskSpec, render_mode: str | None) -> gym.Env:
    if render_mode == "rgb_array":
        # Pictures are drawn off screen; without this a machine that has none fails.
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    # An environment that draws nothing need not know of render modes.
    mode: dict[str, Any] = {} if render_mode is None else {"render_mode": render_mode}
    try:
        return gym.make(spec.env_id, **mode)
    except (gym.error.DependencyNotInstalled, ImportError) as error:
        raise ValueError(f"`env_id` {spec.env_id!r} needs more packages: {error}") from error
    except (gym.error.UnregisteredEnv, gym.error.Error) as error:
        near = difflib.get_close_matches(spec.env_id, gym.registry, n=3, cutoff=0.5)
        hint = f"; nearest: {', '.join(near)}" if near else ""
        raise ValueError(
            f"`env_id` was {spec.env_id!r}, and Gymnasium makes no such environment: "
            f"{str(error).rstrip('.')}{hint}"
        ) from error


def _check(spec: TaskSpec, env: gym.Env) -> tuple[np.ndarray, np.ndarray]:
    """The bounds of the environment's actions, if it is one that `spec` describes."""
    actions, observations = env.action_space, env.observation_space
    if not isinstance(actions, spaces.Box):
        raise ValueError(
            f"`env_id` was {spec.env_id!r}, whose actions are {actions}; "
            "only continuous actions (a Box) are accepted"
        )
    if actions.shape != (spec.action_size,):
        raise ValueError(
            f"`force` has {spec.action_size} columns, and {spec.env_id!r} has actions of "
            f"shape {actions.shape}; it needs one column for each action"
        )
    if not np.all(np.isfinite([actions.low, actions.high])):
        raise ValueError(
            f"`env_id` was {spec.env_id!r}, whose actions {actions} have no bounds; "
            "only bounded actions are accepted"
        )
    if not isinstance(observations, spaces.Box) or len(observations.shape) != 1:
        raise ValueError(
            f"`env_id` was {spec.env_id!r}, whose observations are {observations}; "
            "only vectors (a Box of one dimension) are accepted"
        )
    for i, c in enumerate(spec.coordinates):
        if max(c.indices) >= observations.shape[0]:
            raise ValueError(
                f"`coordinates[{i}]` reads entry {max(c.indices)} of the observation, and "
                f"that of {spec.env_id!r} has entries 0 to {observations.shape[0] - 1}"
            )
    return actions.low, actions.high
