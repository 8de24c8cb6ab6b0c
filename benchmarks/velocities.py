"""Error of velocities that are estimated from positions, at random actions.

    python benchmarks/velocities.py
    python benchmarks/velocities.py Pendulum-v1 Reacher-v5 --noise 0 0.01 --episodes 10

The estimates of each order are compared with the velocities that the environment observes.
White noise is added to positions, rad and m. The first three steps of an episode do not count,
as the estimates of both orders are not complete there.
"""

import argparse
import dataclasses
from typing import Any

import gymnasium as gym
import numpy as np
from jaxtyping import Float

from lagdyna.tasks import EstimatedVelocities, GymnasiumTask, TaskSpec, get_task, read_state

TASKS = ("acrobot", "pendulum", "Pendulum-v1")
NOISE = (0.0, 0.002, 0.01)
SKIPPED = 3


class NoisyPositions(gym.ObservationWrapper):
    """Wrapper that adds white noise to the positions of an observation.

    **Arguments:** `env`; `spec`, its description; `noise`, standard deviation; `seed`, of it.
    """

    def __init__(self, env: gym.Env, spec: TaskSpec, noise: float, seed: int):
        super().__init__(env)
        self._spec, self._noise = spec, noise
        self._rng = np.random.default_rng(seed)

    def observation(self, observation: Any) -> Any:
        noisy = np.array(observation, float)
        for c in self._spec.coordinates:
            error = self._noise * self._rng.normal()
            if c.cos is None or c.sin is None:
                noisy[c.position] += error
            else:
                angle = np.arctan2(noisy[c.sin], noisy[c.cos]) + error
                noisy[c.cos], noisy[c.sin] = np.cos(angle), np.sin(angle)
        return noisy


def errors(
    spec: TaskSpec, order: int, noise: float, episodes: int, steps: int
) -> Float[np.ndarray, " n"]:
    """Compute the root mean square error of each coordinate's estimated velocity."""
    hidden = dataclasses.replace(
        spec,
        coordinates=tuple(
            dataclasses.replace(c, velocity=None, velocity_order=order)
            for c in spec.coordinates
        ),
    )
    found = []
    for seed in range(episodes):
        task = GymnasiumTask(spec)
        env = EstimatedVelocities(NoisyPositions(task.env, spec, noise, seed), hidden)
        space: Any = env.action_space
        rng = np.random.default_rng(seed)
        env.reset(seed=seed)
        for step in range(1, steps + 1):
            action = rng.uniform(space.low, space.high).astype(space.dtype)
            observation, _, terminated, truncated, _ = env.step(action)
            estimate = read_state(hidden, observation).qd[: spec.n]
            true = read_state(spec, observation).qd[: spec.n]
            if step > SKIPPED:
                found.append(np.asarray(estimate) - np.asarray(true))
            if terminated or truncated:
                break
        task.close()
    return np.sqrt(np.mean(np.square(found), axis=0))


def main() -> None:
    """Print a table of the errors."""
    parser = argparse.ArgumentParser(description="Error of estimated velocities.")
    parser.add_argument("tasks", nargs="*", default=TASKS)
    parser.add_argument("--noise", nargs="+", type=float, default=NOISE)
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--steps", type=int, default=200)
    given = parser.parse_args()
    print("| task | `dt`, s | noise of positions | order 1 | order 2 |")
    print("|---|---|---|---|---|")
    for name in given.tasks:
        spec = get_task(name)
        for noise in given.noise:
            first, second = (
                ", ".join(
                    f"{each:.2g}"
                    for each in errors(spec, order, noise, given.episodes, given.steps)
                )
                for order in (1, 2)
            )
            print(f"| `{name}` | {spec.dt:g} | {noise:g} | {first} | {second} |")


if __name__ == "__main__":
    main()
