from typing import Any

import gymnasium as gym
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8

from ...mechanics import State
from . import _compiled as compiled
from ._task import SuiteTask
from ._window import Window


class SuiteEnv(gym.Env[np.ndarray, np.ndarray]):
    """Gymnasium environment of a suite task, as `gymnasium.make` returns it.

    Observations are those of [`lagdyna.tasks.SuiteTask`][], in float32. Actions must be in
    `[-1, 1]^m`. Episodes never terminate; `gymnasium.make` truncates them after 1000 steps. The
    first state of episode `k` after `reset(seed=s)` depends on `s` and `k` only. Use
    `reset(options={"state": (q, qd)})` to start from a given state.

    **Arguments:**

    - `task`: a short name, or a [`lagdyna.tasks.SuiteTask`][] with other parameters.
    - `precision`: `"float64"`, the reference, or `"float32"`. JAX's own setting has no effect.
    - `render_mode`: `None`, `"rgb_array"` or `"human"`. `"rgb_array"` renders images of shape
        `(480, 480, 3)` off screen. `"human"` shows every `reset` and `step` in a window, at
        most in real time.

    **Raises:** `ValueError` for an unknown name, precision or render mode, and for invalid or
    batched parameters. `step` raises it for an action of another shape, or outside `[-1, 1]` by
    more than rounding. `reset` raises it for options other than `state`, and for a state of
    another shape or not finite.
    """

    metadata = {"render_modes": ["human", "rgb_array"], "render_fps": 100}  # noqa: RUF012

    def __init__(
        self,
        task: str | SuiteTask,
        *,
        precision: str = "float64",
        render_mode: str | None = None,
    ):
        compiled.check_render_mode(render_mode)
        self.task = compiled.load_task(task, precision)
        with compiled.precision_context(precision):
            compiled.check_parameters(self.task)
        self.precision = precision
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": round(1 / self.task.dt)}
        sizes = self.task.observation_size, self.task.action_size
        self.observation_space, self.action_space = compiled.make_spaces(*sizes)
        self._window = Window(f"lagdyna: {self.task.name}", self.metadata["render_fps"])
        self._state: State | None = None
        self._action = np.zeros(self.task.action_size)
        self._seed: int | None = None
        self._episode = 0

    @property
    def state(self) -> State:
        """Current state `(q, qd)`, NumPy arrays of shape `(n,)`, in the given precision."""
        if self._state is None:
            raise compiled.reset_needed()
        return compiled.to_numpy(self._state)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start a new episode.

        **Arguments:**

        - `seed`: seed of this and the following episodes; by default the last seed is kept.
        - `options`: may contain `"state"`, the first state as a pair `(q, qd)`.

        **Returns:** the first observation, shape `(obs,)`, and an empty info dictionary.
        """
        given = compiled.read_state_option(options, (self.task.n,))
        super().reset(seed=seed)
        if seed is not None or self._seed is None:
            self._seed, self._episode = self.np_random_seed, 0
        else:
            self._episode += 1
        self._action = np.zeros(self.task.action_size)
        with compiled.precision_context(self.precision):
            if given is None:
                seed_and_episode = compiled.to_uint32(self._seed), np.uint32(self._episode)
                self._state = compiled.start(self.task, *map(jnp.asarray, seed_and_episode))
            else:
                q, qd = (jnp.asarray(part, self.precision) for part in given)
                self._state = State(q, qd)
            observation = np.array(compiled.observe(self.task, self._state))
        self._show_window()
        return observation, {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Hold an action for `dt`.

        **Arguments:**

        - `action`: control in `[-1, 1]^m`, shape `(m,)`.

        **Returns:** observation, reward, `False`, `False` and an empty info dictionary.
        """
        if self._state is None:
            raise compiled.reset_needed()
        self._action = compiled.check_action(action, self.action_space.shape or ())
        with compiled.precision_context(self.precision):
            self._state, observation, reward = compiled.advance(
                self.task, self._state, jnp.asarray(self._action, self.precision)
            )
            outcome = np.array(observation), float(reward), False, False, {}
        self._show_window()
        return outcome

    def render(self) -> UInt8[np.ndarray, "height width 3"] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Render the current state.

        **Returns:** an image in mode `"rgb_array"`, else `None`. Mode `"human"` updates the
        window.
        """
        if self.render_mode != "rgb_array":
            self._show_window()
            return None
        return self._render_image()

    def close(self) -> None:
        """Close the window, if there is one."""
        self._window.close()

    def _show_window(self) -> None:
        if self.render_mode == "human":
            self._window.show(self._render_image())

    def _render_image(self) -> UInt8[np.ndarray, "height width 3"]:
        return compiled.render(
            self.task, np.asarray(self.state.q), self._action, self.precision
        )
