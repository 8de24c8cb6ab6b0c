"""Gymnasium environments that only the tests need.

Outside of pytest they are reached as a user would reach their own: by the module's name
in front, `tests.environments:lagdyna-tests/ShortPendulum-v0`.
"""

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.envs.classic_control import PendulumEnv

CLASSIC = "gymnasium.envs.classic_control"


class Still(gym.Env):
    """Spaces of any kind around an environment in which nothing happens."""

    def __init__(self, observations: spaces.Space, actions: spaces.Space):
        self.observation_space = observations
        self.action_space = actions

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        return self.observation_space.sample(), 0.0, False, False, {}


def _box(*shape: int, bound: float = 1.0) -> spaces.Box:
    return spaces.Box(-bound, bound, shape, np.float32)


def needs_packages() -> gym.Env:
    raise gym.error.DependencyNotInstalled("`pip install wheels-and-springs`")


class Countdown(gym.Env):
    """Pays 1 a step, for one to nine steps."""

    observation_space = spaces.Box(-1, 1, (3,), np.float32)
    action_space = spaces.Box(-1, 1, (1,), np.float32)
    rest = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        self.rest = int(self.np_random.integers(1, 10))
        return np.asarray([1, 0, self.rest / 10], np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        self.rest -= 1
        observation = np.asarray([1, 0, self.rest / 10], np.float32)
        return observation, 1.0, self.rest == 0, False, {}


class Failing(Still):
    """As promised for two steps; then `last` is what it observes, perhaps `announced` by
    another space, and `paid` what it pays."""

    def __init__(self, last: Any, paid: float = 0.0, announced: bool = False):
        super().__init__(_box(3), _box(1))
        self.last = np.asarray(last, np.float32)
        self.paid = paid
        self.announced = announced
        self.steps = 0

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        self.steps += 1
        if self.steps < 3:
            return self.observation_space.sample(), 0.0, False, False, {}
        if self.announced:
            self.observation_space = _box(*self.last.shape)
        return self.last, self.paid, False, False, {}


class DampedPendulum(PendulumEnv):
    """Gymnasium's pendulum with a viscous friction of 0.2 N m s."""

    friction = 0.2

    def step(self, u: Any) -> tuple[Any, Any, bool, bool, dict]:
        _, velocity = self.state
        _, reward, terminated, truncated, info = super().step(u)
        change = -3 * self.friction / (self.m * self.l**2) * velocity * self.dt
        self.state = self.state + np.asarray([change * self.dt, change])
        return self._get_obs(), reward, terminated, truncated, info


class Unrepeatable(PendulumEnv):
    """Gymnasium's pendulum with starts that ignore the seed."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict]:
        return super().reset()


def _register(name: str, entry_point: Any, **options: Any) -> None:
    gym.register(f"lagdyna-tests/{name}-v0", entry_point, **options)


# Twenty steps are an episode: much is soon over.
_register("ShortPendulum", f"{CLASSIC}:PendulumEnv", max_episode_steps=20)
_register(
    "ShortCar", f"{CLASSIC}.continuous_mountain_car:Continuous_MountainCarEnv",
    max_episode_steps=20,
)  # fmt: skip
_register("DampedPendulum", DampedPendulum, max_episode_steps=200)
_register("Unrepeatable", Unrepeatable, max_episode_steps=20)
_register("Endless", f"{CLASSIC}:PendulumEnv")
_register("NeedsPackages", needs_packages)
_register("Unbounded", lambda: Still(_box(3), _box(1, bound=np.inf)))
_register("Picture", lambda: Still(_box(8, 8, 3), _box(1)))
_register("Text", lambda: Still(spaces.Text(3), _box(1)))
_register("MatrixAction", lambda: Still(_box(3), _box(1, 1)))
_register("Multibinary", lambda: Still(_box(3), spaces.MultiBinary(2)))
_register("Countdown", Countdown)


class Undrawable(Countdown):
    """Says that it draws pictures, and has nothing to draw them with."""

    metadata: ClassVar[dict] = {"render_modes": ["rgb_array"], "render_fps": 20}

    def __init__(self, render_mode: str | None = None):
        self.render_mode = render_mode

    def render(self) -> Any:
        raise RuntimeError("no OpenGL platform library")


_register("Undrawable", Undrawable)
_register("Growing", lambda: Failing([0.0, 1.0, 0.0, 0.0]))
_register("Restless", lambda: Failing([0.0, 1.0, 0.0, 0.0], announced=True))
_register("Unpaid", lambda: Failing([0.0, 1.0, 0.0], paid=np.nan))
_register("Undefined", lambda: Failing([0.0, 1.0, np.nan]))
_register("Infinite", lambda: Failing([np.inf, 1.0, 0.0]))
_register(
    "Nested",
    lambda: Still(spaces.Dict({"b": _box(1), "a": _box(2)}), _box(1)),
)
_register("Still", lambda: Still(_box(3), _box(1)))
