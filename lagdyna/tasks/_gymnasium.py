import ctypes.util
import dataclasses
import difflib
import importlib.util
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from jaxtyping import Float

from ..mechanics import State
from ..runtime import Spaces
from ._adapters import adapted
from ._bounds import Bounds
from ._faults import CheckedEnv, EnvironmentFault, sentence
from ._make import make, without_module
from ._read_state import read_state
from ._spec import TaskSpec
from ._velocities import EstimatedVelocities


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

    The environment itself is not modified. Observations that are dictionaries or tuples are
    flattened in the order of their space, as by `gymnasium.wrappers.FlattenObservation`.

    **Arguments:**

    - `spec`: description of the environment and of the state in its observations.
    - `render_mode`: as in `gymnasium.make`.

    **Attributes:** `observation`, a copy of the latest one after `reset` or `step`.

    **Raises:** `ValueError` if the environment does not exist, if its actions are not
    continuous and bounded, or if its observations or actions do not match `spec`. `reset` and
    `step` raise [`lagdyna.tasks.EnvironmentFault`][] if the environment raises an error, and
    [`lagdyna.tasks.ObservationError`][], one of these, if an observation has another shape than
    the environment's space, or is not finite where the state is read.
    """

    def __init__(self, spec: TaskSpec, *, render_mode: str | None = None):
        self.spec = spec
        self._render_mode = render_mode
        self._env = make_env(spec, render_mode)
        try:
            self._low, self._high = check_spaces(spec, self._env)
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
        self.observation = np.array(observation)
        return read_state(self.spec, observation)

    def step(self, action: Float[np.ndarray, " m"], most: int | None = None) -> Outcome:
        """Hold an action for `spec.repeat` environment steps, or until the episode ends.

        **Arguments:**

        - `action`: control in `[-1, 1]^m`, shape `(m,)`. Values outside are clipped.
        - `most`: upper limit of the number of steps, if it is below `spec.repeat`.

        **Returns:** the [`lagdyna.tasks.Outcome`][] of the action.

        **Raises:** `ValueError` if `most` is not positive, or if the action has another shape
        or contains NaN. [`lagdyna.tasks.EnvironmentFault`][] if the environment raises an
        error; [`lagdyna.tasks.ObservationError`][], one of these, if it returns an invalid
        observation or a reward that is not finite.
        """
        if most is not None and most < 1:
            raise ValueError(f"`most` must be at least 1, got {most}")
        scaled = rescale_action(action, (self.spec.action_size,), self._low, self._high)
        limit = self.spec.repeat if most is None else min(self.spec.repeat, most)
        total, steps, ended = 0.0, 0, (False, False)
        observation = None
        while steps < limit and not any(ended):
            try:
                observation, reward, *flags, _ = self._env.step(scaled)
            except EnvironmentFault as fault:
                fault.steps = steps
                raise
            total, steps = total + float(reward), steps + 1
            ended = bool(flags[0]), bool(flags[1])
        assert observation is not None
        self.observation = np.array(observation)
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

    @property
    def env(self) -> gym.Env:
        """Gymnasium environment with its wrappers."""
        return self._env

    @property
    def action_bounds(self) -> Bounds:
        """Lowest and highest value of each of the environment's actions."""
        return tuple(zip(self._low.tolist(), self._high.tolist(), strict=True))

    @property
    def spaces(self) -> Spaces:
        """Spaces of the environment, without velocities that are estimated."""
        space: Any = self._env.observation_space
        return Spaces(int(space.shape[0]) - self.spec.estimated, self.action_bounds)

    @property
    def bounded_spec(self) -> TaskSpec:
        """Description with the action bounds, unless they are symmetric about zero."""
        bounds = self.action_bounds
        if self.spec.action_bounds is not None or all(low == -high for low, high in bounds):
            return self.spec
        return dataclasses.replace(self.spec, action_bounds=bounds)

    def close(self) -> None:
        """Close the environment and release its resources."""
        close_env(self._env)


def rescale_action(
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


def make_env(spec: TaskSpec, render_mode: str | None) -> gym.Env:
    if render_mode == "rgb_array":
        # Without this, pygame fails on a machine without a display.
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    _select_mujoco_renderer()
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    # An environment without rendering need not accept `render_mode`.
    mode: dict[str, Any] = {} if render_mode is None else {"render_mode": render_mode}
    try:
        arguments = dict(spec.make or {})
        if spec.max_episode_steps is not None:
            arguments["max_episode_steps"] = spec.max_episode_steps
        env = make(spec.env_id, arguments, spec.wrappers, mode)
    except (gym.error.Error, ImportError) as error:
        missing = without_module(spec.env_id, error)
        raise ValueError(missing or _explain_failure(spec.env_id, error)) from error
    except Exception as error:  # of the environment's own code
        raise ValueError(
            f"`env_id` was {spec.env_id!r}, which cannot be made: {sentence(error)}"
        ) from error
    env = adapted(env)
    shape = env.observation_space.shape
    if shape is None:
        return env
    env = CheckedEnv(env, spec)
    vectors = isinstance(env.observation_space, spaces.Box) and len(shape) == 1
    return EstimatedVelocities(env, spec) if vectors and spec.estimated else env


def close_env(env: gym.Env | gym.vector.VectorEnv) -> None:
    """Close an environment; an error of its own is a warning, so that it hides no other."""
    try:
        env.close()
    except Exception as error:
        warnings.warn(f"an environment could not be closed: {sentence(error)}", stacklevel=3)


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


def check_spaces(spec: TaskSpec, env: gym.Env) -> tuple[np.ndarray, np.ndarray]:
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
    found = tuple(zip(actions.low.tolist(), actions.high.tolist(), strict=True))
    if spec.action_bounds is not None and not np.allclose(spec.action_bounds, found, 1e-6):
        raise ValueError(
            f"`action_bounds` was {spec.action_bounds}, but {spec.env_id!r} has actions from "
            f"{actions.low} to {actions.high}; leave it out to use those"
        )
    if not isinstance(observations, spaces.Box) or len(observations.shape) != 1:
        raise ValueError(
            f"`env_id` was {spec.env_id!r}, whose observations are {observations}; "
            "only vectors (a Box of one dimension) are accepted"
        )
    entries = observations.shape[0] - spec.estimated
    for i, c in enumerate(spec.coordinates):
        if max(c.indices) >= entries:
            raise ValueError(
                f"`coordinates[{i}]` reads entry {max(c.indices)} of the observation, but "
                f"{spec.env_id!r} has entries 0 to {entries - 1}"
            )
    if spec.context and max(spec.context) >= entries:
        raise ValueError(
            f"`context` reads entry {max(spec.context)} of the observation, but "
            f"{spec.env_id!r} has entries 0 to {entries - 1}"
        )
    return actions.low, actions.high


def with_action_bounds(spec: TaskSpec) -> TaskSpec:
    """Add the environment's action bounds to a description if they are not symmetric.

    **Returns:** the same description if they are symmetric about zero.

    **Raises:** the errors of [`lagdyna.tasks.GymnasiumTask`][].
    """
    return bounded_with_spaces(spec)[0]


def bounded_with_spaces(spec: TaskSpec) -> tuple[TaskSpec, Spaces]:
    """Do as `with_action_bounds`, and return the environment's spaces too."""
    env = GymnasiumTask(spec)
    env.close()
    return env.bounded_spec, env.spaces
