"""Check of a task's description against its environment."""

import random
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np

from ..tasks import EnvironmentFault, GymnasiumTask, TaskSpec, read_state
from ._findings import Motion, TaskFinding, judge
from ._step_rule import judge_step_rule


def check_task(
    spec: TaskSpec, *, steps: int = 50, seed: int = 0, resets: bool = True
) -> list[TaskFinding]:
    """Compare a task's description with its environment, by random actions.

    The checks are: `cos` and `sin` are a cosine and a sine; each coordinate changes by its
    velocity times `dt`, unless the velocity is estimated; actions accelerate in the direction
    of `force`; friction, episodes that terminate, limits of the velocity and context are
    described; `reset` with a seed is reproducible; episodes have a time limit. A finding also
    names the solver of an environment that steps by semi-implicit Euler. The environment is one
    of its own, so that a training run is not affected.

    **Arguments:**

    - `spec`: description of the environment.
    - `steps`: number of environment steps.
    - `seed`: of the actions and of the first episode.
    - `resets`: whether to check that `reset` with a seed is reproducible.

    **Returns:** a [`lagdyna.checks.TaskFinding`][] of each check. An environment that cannot be
    made or that fails has a finding that says so.
    """
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        env = GymnasiumTask(spec)
        try:
            return [*_findings(spec, env, steps, seed, resets)]
        finally:
            env.close()
    except EnvironmentFault as fault:
        return [TaskFinding("environment", "wrong", str(fault), "mend the environment")]
    except ValueError as error:  # it cannot be made, or its spaces do not fit
        return [TaskFinding("environment", "wrong", str(error))]
    finally:
        # Environments may draw from the generators that are shared by everything.
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002


def _findings(
    spec: TaskSpec, env: GymnasiumTask, steps: int, seed: int, resets: bool
) -> Iterator[TaskFinding]:
    low, high = ([f"{each[k]:g}" for each in env.action_bounds] for k in (0, 1))
    yield TaskFinding(
        "environment", "ok", f"actions from {', '.join(low)} to {', '.join(high)}"
    )
    yield from _wrappers(env)
    if resets:
        yield _reproducible(env, seed)
    rng = np.random.default_rng(seed)
    rows: list[Any] = []
    env.reset(seed)
    before = env.observation
    previous, lengths, terminated = np.full(spec.action_size, np.nan), [0], False
    finite = bool(np.all(np.isfinite(before)))
    for _ in range(steps):
        action = rng.uniform(-1, 1, spec.action_size)
        outcome = env.step(action, most=1)
        after = env.observation
        if lengths[-1] > 0 or not spec.starts_unknown:
            rows.append((before, after, action, previous))
        before, previous = after, action
        finite &= bool(np.all(np.isfinite(after)))
        lengths[-1] += 1
        terminated |= outcome.terminated
        if outcome.terminated or outcome.truncated:
            env.reset()
            before = env.observation
            previous, lengths = np.full(spec.action_size, np.nan), [*lengths, 0]
    yield from _observations(before[: len(before) - spec.estimated], finite)
    yield from _episodes(spec, env, lengths, terminated)
    if not rows:
        return
    observations, after, actions, previous = (
        np.stack(each).astype(float) for each in zip(*rows, strict=True)
    )
    (q, qd), (next_q, next_qd) = read_state(spec, observations), read_state(spec, after)
    parts: Any = (observations, after, q, qd, next_q, next_qd, actions, previous)
    motion = Motion(*parts)
    yield from judge(spec, motion)
    yield from judge_step_rule(spec, motion)


def _chain(env: GymnasiumTask) -> list[gym.Env]:
    """List the wrappers of an environment from the outside, and the environment itself."""
    chain = [env.env]
    while isinstance(chain[-1], gym.Wrapper):
        chain.append(chain[-1].env)
    return chain


def _wrappers(env: GymnasiumTask) -> Iterator[TaskFinding]:
    """Name the wrappers that change observations or rewards."""
    chain = [each for each in _chain(env) if not type(each).__module__.startswith("lagdyna.")]
    names = [type(each).__name__ for each in chain[:-1]]
    if "NormalizeObservation" in names:
        yield TaskFinding(
            "wrappers",
            "wrong",
            "NormalizeObservation shifts and scales observations, by other numbers every step",
            "leave the wrapper out; lagdyna scales by itself",
        )
    elif "NormalizeReward" in names:
        yield TaskFinding(
            "wrappers",
            "warning",
            "NormalizeReward scales rewards by other numbers every step",
            "leave the wrapper out; lagdyna scales by itself",
        )
    else:
        changed = [
            name
            for name, each in zip(names, chain, strict=False)
            if isinstance(each, gym.ObservationWrapper) or "Observation" in name
        ]
        if changed:
            yield TaskFinding(
                "wrappers", "ok", f"observations pass through {', '.join(changed)}"
            )


def _reproducible(env: GymnasiumTask, seed: int) -> TaskFinding:
    """Check that two resets with a seed give the same observation."""
    seen = []
    for _ in range(2):
        env.reset(seed)
        seen.append(env.observation)
    first, again = seen
    if np.array_equal(first, again, equal_nan=True):
        return TaskFinding(
            "reset(seed)", "ok", "two resets with a seed give the same observation"
        )
    return TaskFinding(
        "reset(seed)",
        "warning",
        "two resets with a seed give different observations, so runs cannot be repeated",
        "draw initial states from `self.np_random` after `super().reset(seed=seed)`",
    )


def _observations(last: np.ndarray, finite: bool) -> Iterator[TaskFinding]:
    """Check entries that the description does not read, and the type of all."""
    if not finite:
        yield TaskFinding(
            "observations",
            "warning",
            "entries that the description does not read are not finite",
            "they are ignored",
        )
    elif not np.issubdtype(last.dtype, np.floating):
        yield TaskFinding(
            "observations",
            "warning",
            f"observations are of type {last.dtype}",
            "return floating-point numbers; are positions or velocities rounded?",
        )
    else:
        numbers = "1 finite number" if last.size == 1 else f"{last.size} finite numbers"
        yield TaskFinding("observations", "ok", f"{numbers} of type {last.dtype}")


def _episodes(
    spec: TaskSpec, env: GymnasiumTask, lengths: list[int], terminated: bool
) -> Iterator[TaskFinding]:
    """Check the ends of episodes."""
    described = spec.terminates or any(c.ends_beyond is not None for c in spec.coordinates)
    if terminated and not described:
        yield TaskFinding(
            "episodes",
            "warning",
            f"an episode terminated after {lengths[0]} steps, and no termination is described",
            "set `terminates = true`, or `ends_beyond` of the coordinate that decides",
        )
    limited = any(isinstance(each, gym.wrappers.TimeLimit) for each in _chain(env))
    if limited:
        yield TaskFinding("episodes", "ok", "they have a time limit")
    elif len(lengths) == 1:
        yield TaskFinding(
            "episodes",
            "warning",
            f"no time limit is known, and none of {lengths[0]} random steps ended an episode",
            "set `task.max_episode_steps` if episodes do not end by themselves",
        )
