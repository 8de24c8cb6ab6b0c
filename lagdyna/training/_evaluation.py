from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ..mechanics import State
from ..tasks import (
    EnvironmentFault,
    GymnasiumBatch,
    GymnasiumTask,
    RenderingError,
    TaskSpec,
)

Act = Callable[[State], Float[np.ndarray, "batch m"]]
"""Policy of a batch of states, which returns their actions in [-1, 1]."""


class Rollout(NamedTuple):
    """One episode in the real environment.

    **Attributes:** (time counts actions) `states`, of shapes `(time + 1, n)`; `actions`,
    `(time, m)`; `rewards`, `(time,)`.
    """

    states: State
    actions: Float[np.ndarray, "time m"]
    rewards: Float[np.ndarray, " time"]


def evaluate_policy(
    task: TaskSpec, act: Act, seeds: Sequence[int], max_steps: int
) -> Float[np.ndarray, " episodes"]:
    """Compute the return of one whole episode per seed.

    **Arguments:**

    - `task`: the environment.
    - `act`: computes actions `(batch, m)` for a batch of states.
    - `seeds`: of the starts of the episodes.
    - `max_steps`: the largest length of an episode, in environment steps.

    **Raises:** [`lagdyna.tasks.EnvironmentFault`][] if an episode is longer than `max_steps`,
    or the environment raises an error or returns what cannot be used.
    """
    batch = GymnasiumBatch(task, len(seeds))
    try:
        states = batch.reset(seeds)
        returns = np.zeros(len(seeds))
        running = np.ones(len(seeds), bool)
        for _ in range(-(-max_steps // task.repeat)):
            states, rewards, ended = batch.step(act(states))
            returns += np.where(running, rewards, 0)
            running &= ~ended
            if not running.any():
                return returns
    except EnvironmentFault as fault:
        raise fault.during("in an evaluation") from fault.__cause__
    finally:
        batch.close()
    raise still_going(task, max_steps, int(running.sum()), len(seeds))


def still_going(
    task: TaskSpec, max_steps: int, running: int, episodes: int
) -> EnvironmentFault:
    """Create the error of an evaluation whose episodes do not end."""
    return EnvironmentFault(
        f"`evaluation.max_steps` was {max_steps}, and {running} of {episodes} "
        f"episodes of {task.env_id!r} were still going on; a larger number is accepted, or a "
        "time limit of episodes, `task.max_episode_steps`"
    )


def _can_be_drawn(task: TaskSpec) -> bool:
    """Whether the environment can render images on this machine."""
    modes = GymnasiumTask(task)
    drawn = "rgb_array" in modes.render_modes
    modes.close()
    if not drawn:
        return False
    env = GymnasiumTask(task, render_mode="rgb_array")
    try:
        env.reset(0)
        env.render()
    except RenderingError:
        return False
    finally:
        env.close()
    return True


def record_rollout(
    task: TaskSpec,
    act: Act,
    seed: int,
    max_steps: int,
    show: Callable[[Callable[[], np.ndarray]], None] | None = None,
) -> Rollout:
    """Record one episode in the real environment.

    **Arguments:** `show` receives, for each state, a function that renders its image,
    `(height, width, 3)`, if the environment renders any. Call it at once: images are not kept,
    since those of an episode may be gigabytes.
    """
    if show is not None and not _can_be_drawn(task):
        show = None
    env = GymnasiumTask(task, render_mode=None if show is None else "rgb_array")
    try:
        states = [env.reset(seed)]
        actions, rewards = [], []
        if show is not None:
            show(env.render)
        for _ in range(-(-max_steps // task.repeat)):
            now = State(states[-1].q[None], states[-1].qd[None])
            actions.append(act(now)[0])
            outcome = env.step(actions[-1])
            states.append(outcome.state)
            rewards.append(outcome.reward)
            if show is not None:
                show(env.render)
            if outcome.terminated or outcome.truncated:
                break
    finally:
        env.close()
    stacked: Any = [np.stack(parts) for parts in zip(*states, strict=True)]
    return Rollout(State(*stacked), np.stack(actions), np.asarray(rewards))
