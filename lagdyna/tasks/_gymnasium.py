import ctypes.util
import difflib
import importlib.util
import os
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from jaxtyping import Bool, Float

from ..mechanics import State
from ._spec import TaskSpec


class ObservationError(ValueError):
    """An environment observed, while it ran, what it had not said that it would, or paid what
    is no number."""


class RenderingError(ValueError):
    """An environment cannot be drawn on this machine, commonly for want of OpenGL."""


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

    Nothing else in lagdyna knows Gymnasium. The environment is not modified; dictionaries
    that it observes are laid end to end, in the order of their space.

    **Arguments:**

    - `spec`: what the environment is and where its observations keep the state.
    - `render_mode`: as for `gymnasium.make`.

    **Raises:** `ValueError` if there is no such environment, its actions are not
    continuous and bounded, or its observation or action does not fit `spec`. `reset` and
    `step` raise [`lagdyna.tasks.ObservationError`][] if what is observed has another shape
    than the environment's space, or is not finite where the state is read.
    """

    def __init__(self, spec: TaskSpec, *, render_mode: str | None = None):
        self.spec = spec
        self._render_mode = render_mode
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

        What is beyond the bounds is clipped.

        **Raises:** `ValueError` if `most` is not positive, or the action has another shape or
        holds what is not a number; [`lagdyna.tasks.ObservationError`][] if the environment
        observes what it had not promised, or pays what is not finite.
        """
        if most is not None and most < 1:
            raise ValueError(f"`most` must be at least 1, got {most}")
        scaled = _scaled(action, (self.spec.action_size,), self._low, self._high)
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
        """A picture of the current state, `(height, width, 3)`, 8 bit.

        **Raises:** `ValueError` if the task was made to draw no pictures or has not begun;
        [`lagdyna.tasks.RenderingError`][] if none can be drawn here.
        """
        if self._render_mode != "rgb_array":
            raise ValueError(
                f"`render_mode` was {self._render_mode!r}, which gives no picture; "
                "'rgb_array' is accepted"
            )
        try:
            return np.asarray(self._env.render())
        except gym.error.ResetNeeded as error:
            raise ValueError("there is nothing to draw yet; call `reset` first") from error
        # Without a display or OpenGL, drawing fails in as many ways as there are libraries.
        except Exception as error:
            raise RenderingError(
                f"`env_id` was {self.spec.env_id!r}, of which no picture can be drawn on this "
                f"machine: {error}"
            ) from error

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

        **Raises:** `ValueError` as [`lagdyna.tasks.GymnasiumTask.step`][].
        """
        shape = (self._env.num_envs, self.spec.action_size)
        scaled = _scaled(actions, shape, self._low, self._high)
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
    """`(q, qd)` from where `spec` says that an observation keeps them, then its context."""
    observed, q, qd = [], [], []
    for c in spec.coordinates:
        if c.cos is not None and c.sin is not None:
            observed.append(np.arctan2(observation[..., c.sin], observation[..., c.cos]))
        else:
            observed.append(observation[..., c.position])
        qd.append(observation[..., c.velocity])
    for position, c in zip(observed, spec.coordinates, strict=True):
        if c.relative_to is not None:
            apart = position - observed[c.relative_to]
            position = np.arctan2(np.sin(apart), np.cos(apart))  # the shorter way round
        q.append(position)
    for i in spec.context:
        q.append(observation[..., i])
        qd.append(np.zeros_like(observation[..., i]))
    return State(_stacked(q), _stacked(qd))


class _Checked(gym.ObservationWrapper):
    """Refuses what the environment had not promised, and rewards that are no number, when it
    makes them."""

    def __init__(self, env: gym.Env, spec: TaskSpec):
        super().__init__(env)
        self._spec = spec
        # What it said at first: it may change its mind about the space too.
        self._space = env.observation_space
        self._entries = sorted(
            {*spec.context, *(i for c in spec.coordinates for i in c.indices)}
        )

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = super().step(action)
        if not np.isfinite(float(reward)):
            raise ObservationError(
                f"`env_id` was {self._spec.env_id!r}, which paid a reward of {reward}; only "
                "finite numbers are accepted"
            )
        return observation, reward, terminated, truncated, info

    def observation(self, observation: Any) -> Any:
        who, space = f"`env_id` was {self._spec.env_id!r}, which", self._space
        if np.shape(observation) != space.shape:
            raise ObservationError(
                f"{who} observed an array of shape {np.shape(observation)}, and its "
                f"observations are {space}; only such are accepted"
            )
        for i in self._entries:
            if not np.isfinite(observation[i]):
                raise ObservationError(
                    f"{who} observed {observation[i]} in entry {i}; only finite numbers are "
                    "accepted where the state is read"
                )
        return observation


def _stacked(columns: list[np.ndarray | np.generic]) -> Any:
    """Columns side by side, as precise as they are: a NumPy array, as good as JAX's wherever a
    `State` goes."""
    stacked = np.stack(columns, axis=-1)
    return stacked.astype(np.result_type(stacked.dtype, np.float32))


def _scaled(
    action: np.ndarray, shape: tuple[int, ...], low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """From `[-1, 1]`, checked and clipped, to the environment's own bounds."""
    accepted = f"numbers of shape {shape} are accepted"
    if np.shape(action) != shape:
        raise ValueError(f"`action` has shape {np.shape(action)}; {accepted}")
    if np.isnan(action).any():
        raise ValueError(f"`action` was {action}, of which not all are numbers; {accepted}")
    unit = np.clip(action, -1, 1)
    return (low + 0.5 * (unit + 1) * (high - low)).astype(low.dtype)


def _make(spec: TaskSpec, render_mode: str | None) -> gym.Env:
    if render_mode == "rgb_array":
        # Pictures are drawn off screen; without this a machine that has none fails.
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    _prepare_mujoco()
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    # An environment that draws nothing need not know of render modes.
    mode: dict[str, Any] = {} if render_mode is None else {"render_mode": render_mode}
    try:
        env = gym.make(spec.env_id, **mode)
    except (gym.error.Error, ImportError) as error:
        raise ValueError(_unmakeable(spec.env_id, error)) from error
    if isinstance(env.observation_space, spaces.Dict):
        env = gym.wrappers.FlattenObservation(env)
    return env if env.observation_space.shape is None else _Checked(env, spec)


def _prepare_mujoco() -> None:
    """Has MuJoCo draw without a display where there is none; it asks once, when imported."""
    displayed = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if sys.platform == "linux" and not displayed and ctypes.util.find_library("EGL"):
        os.environ.setdefault("MUJOCO_GL", "egl")


# What shows that an environment needs an extra of lagdyna's: a part of its id, or of what
# Gymnasium says when it cannot make it.
_EXTRAS = {"dm_control": "dm-control", "shimmy": "dm-control", "mujoco": "mujoco"}


def _unmakeable(env_id: str, error: Exception) -> str:
    """Why there is no such environment here."""
    reason = str(error).rstrip(".")
    missing = isinstance(error, gym.error.DependencyNotInstalled | ImportError)
    extras = [x for word, x in _EXTRAS.items() if word in f"{env_id} {reason}".lower()]
    if extras and (missing or not _installed(extras[0])):
        return (
            f"`env_id` {env_id!r} needs more packages, which "
            f"`pip install 'lagdyna[{extras[0]}]'` installs: {reason}"
        )
    if missing:
        return f"`env_id` {env_id!r} needs more packages: {reason}"
    near = difflib.get_close_matches(env_id, gym.registry, n=3, cutoff=0.5)
    hint = f"; nearest: {', '.join(near)}" if near else ""
    return f"`env_id` was {env_id!r}, and Gymnasium makes no such environment: {reason}{hint}"


def _installed(extra: str) -> bool:
    """Whether the packages of an extra can be imported, without importing them."""
    packages = {"mujoco": ("mujoco",), "dm-control": ("shimmy", "dm_control")}[extra]
    return all(importlib.util.find_spec(package) is not None for package in packages)


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
    if spec.context and max(spec.context) >= observations.shape[0]:
        raise ValueError(
            f"`context` reads entry {max(spec.context)} of the observation, and that of "
            f"{spec.env_id!r} has entries 0 to {observations.shape[0] - 1}"
        )
    return actions.low, actions.high
