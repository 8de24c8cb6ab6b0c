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
from ._make import make, without_module
from ._spec import TaskSpec


class ObservationError(ValueError):
    """Error: an environment returned an invalid observation or reward in `reset` or `step`.

    The observation has another shape than the environment's space or is not finite where the
    state is read, or the reward is not finite.
    """


class RenderingError(ValueError):
    """Error: an environment cannot be rendered on this machine, often for lack of OpenGL."""


class Outcome(NamedTuple):
    """Result of one action in the environment.

    **Attributes:**

    - `state`: the next state, NumPy arrays of shape `(n,)`.
    - `reward`: sum of the rewards of the steps for which the action was held.
    - `terminated`: whether the episode terminated.
    - `truncated`: whether the episode was truncated by its time limit.
    - `steps`: number of environment steps for which the action was held.
    """

    state: State
    reward: float
    terminated: bool
    truncated: bool
    steps: int = 1


class GymnasiumTask:
    """Adapter of a Gymnasium environment to states `(q, qd)` and actions in `[-1, 1]^m`.

    The environment itself is not modified. Dictionary observations are flattened in the order
    of their space.

    **Arguments:**

    - `spec`: description of the environment and of the state in its observations.
    - `render_mode`: as in `gymnasium.make`.

    **Raises:** `ValueError` if the environment does not exist, if its actions are not
    continuous and bounded, or if its observations or actions do not match `spec`. `reset` and
    `step` raise [`lagdyna.tasks.ObservationError`][] if an observation has another shape than
    the environment's space, or is not finite where the state is read.
    """

    def __init__(self, spec: TaskSpec, *, render_mode: str | None = None):
        self.spec = spec
        self._render_mode = render_mode
        self._env = _make_env(spec, render_mode)
        try:
            self._low, self._high = _check_spaces(spec, self._env)
        except ValueError:
            self._env.close()
            raise

    def reset(self, seed: int | None = None) -> State:
        """Start a new episode and return its first state.

        **Arguments:**

        - `seed`: seed of the environment, as in `gymnasium.Env.reset`.

        **Returns:** the state, NumPy arrays of shape `(n,)`.
        """
        observation, _ = self._env.reset(seed=seed)
        return read_state(self.spec, observation)

    def step(self, action: Float[np.ndarray, " m"], most: int | None = None) -> Outcome:
        """Hold an action for `spec.repeat` environment steps, or until the episode ends.

        **Arguments:**

        - `action`: control in `[-1, 1]^m`, shape `(m,)`. Values outside are clipped.
        - `most`: upper limit of the number of steps, if it is below `spec.repeat`.

        **Returns:** the [`lagdyna.tasks.Outcome`][] of the action.

        **Raises:** `ValueError` if `most` is not positive, or if the action has another shape
        or contains NaN. [`lagdyna.tasks.ObservationError`][] if the environment returns an
        invalid observation or a reward that is not finite.
        """
        if most is not None and most < 1:
            raise ValueError(f"`most` must be at least 1, got {most}")
        scaled = _rescale_action(action, (self.spec.action_size,), self._low, self._high)
        limit = self.spec.repeat if most is None else min(self.spec.repeat, most)
        total, steps, ended = 0.0, 0, (False, False)
        observation = None
        while steps < limit and not any(ended):
            observation, reward, *flags, _ = self._env.step(scaled)
            total, steps = total + float(reward), steps + 1
            ended = bool(flags[0]), bool(flags[1])
        assert observation is not None
        return Outcome(read_state(self.spec, observation), total, *ended, steps)

    def render(self) -> np.ndarray:
        """Render the current state as an RGB image.

        **Returns:** the image, shape `(height, width, 3)`, 8 bit.

        **Raises:** `ValueError` if `render_mode` is not `"rgb_array"` or if `reset` was not
        called. [`lagdyna.tasks.RenderingError`][] if rendering fails on this machine.
        """
        if self._render_mode != "rgb_array":
            raise ValueError(
                f"`render_mode` was {self._render_mode!r}, which renders no images; "
                "'rgb_array' is accepted"
            )
        try:
            return np.asarray(self._env.render())
        except gym.error.ResetNeeded as error:
            raise ValueError(
                "`render` was called before `reset`; call `reset` first"
            ) from error
        # Without a display or OpenGL, each rendering library raises its own error type.
        except Exception as error:
            raise RenderingError(
                f"`env_id` was {self.spec.env_id!r}, which cannot be rendered on this machine: "
                f"{error}"
            ) from error

    @property
    def render_modes(self) -> Sequence[str]:
        """Render modes that the environment supports."""
        return self._env.metadata.get("render_modes", ())

    def close(self) -> None:
        """Close the environment and release its resources."""
        self._env.close()


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
        self._env = gym.vector.SyncVectorEnv([lambda: _make_env(spec, None)] * copies)
        self._low, self._high = _check_spaces(spec, self._env.envs[0])

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
        scaled = _rescale_action(actions, shape, self._low, self._high)
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
        self._env.close()


def read_state(spec: TaskSpec, observation: Float[np.ndarray, "*batch obs"]) -> State:
    """Read the state from an observation.

    **Arguments:**

    - `spec`: description of the environment.
    - `observation`: one observation or a batch, shape `(*batch, obs)`.

    **Returns:** the coordinates and velocities, followed by the context with zero velocities.
    NumPy arrays of shape `(*batch, n + context)`.
    """
    observed, q, qd = [], [], []
    for c in spec.coordinates:
        if c.cos is not None and c.sin is not None:
            observed.append(np.arctan2(observation[..., c.sin], observation[..., c.cos]))
        else:
            observed.append(observation[..., c.position])
        qd.append(observation[..., c.velocity])
    for position, c in zip(observed, spec.coordinates, strict=True):
        if c.relative_to is not None:
            angle = position - observed[c.relative_to]
            position = np.arctan2(np.sin(angle), np.cos(angle))  # wrapped into [-pi, pi]
        q.append(position)
    for i in spec.context:
        q.append(observation[..., i])
        qd.append(np.zeros_like(observation[..., i]))
    return State(_stack(q), _stack(qd))


class _CheckedEnv(gym.ObservationWrapper):
    """Wrapper that raises an error for invalid observations and rewards."""

    def __init__(self, env: gym.Env, spec: TaskSpec):
        super().__init__(env)
        self._spec = spec
        # Keep the initial space: a faulty environment may change it later.
        self._space = env.observation_space
        self._entries = sorted(
            {*spec.context, *(i for c in spec.coordinates for i in c.indices)}
        )

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = super().step(action)
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


def _stack(columns: list[np.ndarray | np.generic]) -> Any:
    """Stack columns into an array of their precision, at least float32.

    A `State` accepts NumPy arrays as well as JAX arrays.
    """
    stacked = np.stack(columns, axis=-1)
    return stacked.astype(np.result_type(stacked.dtype, np.float32))


def _rescale_action(
    action: np.ndarray, shape: tuple[int, ...], low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Validate actions in `[-1, 1]`, clip them and rescale them to the environment's bounds."""
    accepted = f"numbers of shape {shape} are accepted"
    if np.shape(action) != shape:
        raise ValueError(f"`action` has shape {np.shape(action)}; {accepted}")
    if np.isnan(action).any():
        raise ValueError(f"`action` was {action}, which contains NaN; {accepted}")
    unit = np.clip(action, -1, 1)
    return (low + 0.5 * (unit + 1) * (high - low)).astype(low.dtype)


def _make_env(spec: TaskSpec, render_mode: str | None) -> gym.Env:
    if render_mode == "rgb_array":
        # Without this, pygame fails on a machine without a display.
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    _select_mujoco_renderer()
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    # An environment without rendering need not accept `render_mode`.
    mode: dict[str, Any] = {} if render_mode is None else {"render_mode": render_mode}
    try:
        env = make(spec.env_id, spec.make or {}, spec.wrappers, mode)
    except (gym.error.Error, ImportError) as error:
        missing = without_module(spec.env_id, error)
        raise ValueError(missing or _explain_failure(spec.env_id, error)) from error
    if isinstance(env.observation_space, spaces.Dict):
        env = gym.wrappers.FlattenObservation(env)
    return env if env.observation_space.shape is None else _CheckedEnv(env, spec)


def _select_mujoco_renderer() -> None:
    """Select off-screen rendering for MuJoCo if there is no display.

    MuJoCo reads the environment variable once, on import.
    """
    displayed = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if sys.platform == "linux" and not displayed and ctypes.util.find_library("EGL"):
        os.environ.setdefault("MUJOCO_GL", "egl")


# The extra that an environment needs, by a word in its id or in Gymnasium's error message.
_EXTRAS = {"dm_control": "dm-control", "shimmy": "dm-control", "mujoco": "mujoco"}


def _explain_failure(env_id: str, error: Exception) -> str:
    """Explain why Gymnasium cannot make an environment."""
    reason = str(error).rstrip(".")
    missing = isinstance(error, gym.error.DependencyNotInstalled | ImportError)
    extras = [x for word, x in _EXTRAS.items() if word in f"{env_id} {reason}".lower()]
    if extras and (missing or not _is_installed(extras[0])):
        return (
            f"`env_id` was {env_id!r}, which needs more packages; install them with "
            f"`pip install 'lagdyna[{extras[0]}]'`: {reason}"
        )
    if missing:
        return f"`env_id` was {env_id!r}, which needs more packages: {reason}"
    near = difflib.get_close_matches(env_id, gym.registry, n=3, cutoff=0.5)
    hint = f"; nearest: {', '.join(near)}" if near else ""
    return f"`env_id` was {env_id!r}; Gymnasium has no such environment: {reason}{hint}"


def _is_installed(extra: str) -> bool:
    """Whether the packages of an extra can be imported, without importing them."""
    packages = {"mujoco": ("mujoco",), "dm-control": ("shimmy", "dm_control")}[extra]
    return all(importlib.util.find_spec(package) is not None for package in packages)


def _check_spaces(spec: TaskSpec, env: gym.Env) -> tuple[np.ndarray, np.ndarray]:
    """Check that `spec` matches the environment's spaces, and return its action bounds."""
    actions, observations = env.action_space, env.observation_space
    if not isinstance(actions, spaces.Box):
        raise ValueError(
            f"`env_id` was {spec.env_id!r}, whose actions are {actions}; "
            "only continuous actions (a Box) are accepted"
        )
    if actions.shape != (spec.action_size,):
        raise ValueError(
            f"`force` has {spec.action_size} columns, but {spec.env_id!r} has actions of "
            f"shape {actions.shape}; give one column per action"
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
                f"`coordinates[{i}]` reads entry {max(c.indices)} of the observation, but "
                f"{spec.env_id!r} has entries 0 to {observations.shape[0] - 1}"
            )
    if spec.context and max(spec.context) >= observations.shape[0]:
        raise ValueError(
            f"`context` reads entry {max(spec.context)} of the observation, but "
            f"{spec.env_id!r} has entries 0 to {observations.shape[0] - 1}"
        )
    return actions.low, actions.high
