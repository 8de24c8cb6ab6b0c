"""A pendulum in NumPy, and variants of it that keep to other conventions."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from lagdyna.tasks import CoordinateSpec, TaskSpec

SPEC = TaskSpec(
    env_id="lagdyna-tests/Swing-v0",
    coordinates=(CoordinateSpec(kind="angle", cos=0, sin=1, velocity=2, velocity_range=8.0),),
    dt=0.05,
    force=((2.0,),),
)


def spec_of(**changes: Any) -> TaskSpec:
    """The description of the pendulum, with other options of its coordinate or of itself."""
    names = {field.name for field in dataclasses.fields(CoordinateSpec)}
    own = {key: value for key, value in changes.items() if key in names}
    coordinate = dataclasses.replace(SPEC.coordinates[0], **own)
    rest = {key: value for key, value in changes.items() if key not in names}
    return dataclasses.replace(SPEC, coordinates=(coordinate,), **rest)


class Swing(gym.Env):
    """Pendulum of inertia 1, with a torque of up to 2 N m; it observes cos, sin, velocity."""

    metadata: ClassVar[dict] = {"render_modes": []}
    bounds = (-2.0, 2.0)
    friction = 0.0

    def __init__(self) -> None:
        low, high = self.bounds
        self.action_space = spaces.Box(np.float32(low), np.float32(high), (1,), np.float32)
        self.observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float32)

    def observe(self) -> Any:
        return np.array([np.cos(self.q), np.sin(self.q), self.v], np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.q, self.v = self.np_random.uniform(-3, 3), self.np_random.uniform(-1, 1)
        return self.observe(), {}

    def step(self, action: Any) -> Any:
        torque = float(np.asarray(action).reshape(-1)[0])
        for _ in range(10):
            self.v += (torque + 9.81 * np.sin(self.q) - self.friction * self.v) * 0.005
            self.q += self.v * 0.005
        return self.observe(), float(np.cos(self.q)), False, False, {}


class Damped(Swing):
    friction = 0.1


class Float64(Swing):
    def observe(self) -> Any:
        return super().observe().astype(float)


class ListObservation(Swing):
    def observe(self) -> Any:
        return [float(each) for each in super().observe()]


class DictObservation(Swing):
    def __init__(self) -> None:
        super().__init__()
        self.observation_space = spaces.Dict(
            angle=spaces.Box(-1, 1, (2,), np.float32), velocity=spaces.Box(-9, 9, (1,))
        )

    def observe(self) -> Any:
        every = super().observe()
        return {"velocity": every[2:], "angle": every[:2]}


class TupleObservation(Swing):
    def __init__(self) -> None:
        super().__init__()
        parts = spaces.Box(-1, 1, (2,), np.float32), spaces.Box(-9, 9, (1,), np.float32)
        self.observation_space = spaces.Tuple(parts)

    def observe(self) -> Any:
        every = super().observe()
        return every[:2], every[2:]


class OldStep(Swing):
    def step(self, action: Any) -> Any:
        observation, reward, *_ = super().step(action)
        return observation, reward, False, {}


class OldReset(Swing):
    def reset(self, **options: Any) -> Any:
        return super().reset(**options)[0]


class SeedMethod(Swing):
    """As Gym before 0.26: `seed` is a method, and `reset` takes nothing."""

    chosen: int | None = None

    def seed(self, seed: int | None = None) -> None:
        self.chosen = seed

    def reset(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        chosen, self.chosen = self.chosen, None
        return super().reset(seed=chosen)[0]


class ArrayReward(Swing):
    def step(self, action: Any) -> Any:
        observation, reward, *rest = super().step(action)
        return observation, np.array([reward]), *rest


@contextlib.contextmanager
def registered(kind: Any, limit: int | None = 100, **options: Any) -> Iterator[str]:
    """Register an environment within a block, and give its id."""
    env_id = f"lagdyna-tests/{getattr(kind, '__name__', 'Made')}-v0"
    gym.register(env_id, kind, max_episode_steps=limit, **options)
    try:
        yield env_id
    finally:
        del gym.registry[env_id]
