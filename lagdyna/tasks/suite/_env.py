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
    """A task of the suite as a Gymnasium environment: what `gymnasium.make` makes.

    Observations are float32, as [`lagdyna.tasks.SuiteTask`][] describes them; actions are in
    `[-1, 1]^m`, and refused beyond. Nothing terminates; `gymnasium.make` truncates after
    1000 steps. Episode `k` after `reset(seed=s)` starts as a function of `s` and `k` alone.
    `reset(options={"state": (q, qd)})` starts from a given state.

    **Arguments:**

    - `task`: a short name, or a [`lagdyna.tasks.SuiteTask`][] with parameters of one's own.
    - `precision`: `"float64"`, the reference, or `"float32"`, whatever JAX is set to outside.
    - `render_mode`: `None`; `"rgb_array"`, pictures of shape `(480, 480, 3)`, drawn without
        a screen; or `"human"`, a window in which every `reset` and `step` is shown, no faster
        than it would happen.

    **Raises:** `ValueError` for an unknown name, precision or render mode, parameters that no
    chain has, or batched ones; from `step` for an action of another shape, or outside `[-1, 1]`
    by more than rounding; from `reset` for other options than `state`, or a state of another
    shape or that is not finite.
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
        self.task = compiled.made(task, precision)
        with compiled.in_precision(precision):
            compiled.check_parameters(self.task)
        self.precision = precision
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": round(1 / self.task.dt)}
        sizes = self.task.observation_size, self.task.action_size
        self.observation_space, self.action_space = compiled.spaces_of(*sizes)
        self._window = Window(f"lagdyna: {self.task.name}", self.metadata["render_fps"])
        self._state: State | None = None
        self._action = np.zeros(self.task.action_size)
        self._seed: int | None = None
        self._episode = 0

    @property
    def state(self) -> State:
        """The current `(q, qd)`, of `(n,)` NumPy arrays in the environment's precision."""
        if self._state is None:
            raise compiled.needs_reset()
        return compiled.as_numpy(self._state)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """The first observation of a new episode."""
        given = compiled.state_option(options, (self.task.n,))
        super().reset(seed=seed)
        if seed is not None or self._seed is None:
            self._seed, self._episode = self.np_random_seed, 0
        else:
            self._episode += 1
        self._action = np.zeros(self.task.action_size)
        with compiled.in_precision(self.precision):
            if given is None:
                place = compiled.short_seed(self._seed), np.uint32(self._episode)
                self._state = compiled.start(self.task, *map(jnp.asarray, place))
            else:
                q, qd = (jnp.asarray(part, self.precision) for part in given)
                self._state = State(q, qd)
            observation = np.array(compiled.observe(self.task, self._state))
        self._show()
        return observation, {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Holds `action` for `dt`: observation, reward, `False`, `False` and no info."""
        if self._state is None:
            raise compiled.needs_reset()
        self._action = compiled.checked_action(action, self.action_space.shape or ())
        with compiled.in_precision(self.precision):
            self._state, observation, reward = compiled.advance(
                self.task, self._state, jnp.asarray(self._action, self.precision)
            )
            outcome = np.array(observation), float(reward), False, False, {}
        self._show()
        return outcome

    def render(self) -> UInt8[np.ndarray, "height width 3"] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """A picture of the current state; in a window, or `None`, by the render mode."""
        if self.render_mode != "rgb_array":
            self._show()
            return None
        return self._picture()

    def close(self) -> None:
        """Closes the window, if there is one."""
        self._window.close()

    def _show(self) -> None:
        if self.render_mode == "human":
            self._window.show(self._picture())

    def _picture(self) -> UInt8[np.ndarray, "height width 3"]:
        return compiled.picture(
            self.task, np.asarray(self.state.q), self._action, self.precision
        )
