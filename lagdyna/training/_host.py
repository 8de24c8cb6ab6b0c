"""Gymnasium environments, stepped on the host."""

import warnings
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, UInt

from .._errors import UserError
from ..config import given
from ..data import Experience
from ..mechanics import State
from ..tasks import EnvironmentFault, GymnasiumTask
from ._environment import (
    EPISODE,
    AbstractEnvironmentLoop,
    Counts,
    Episode,
    Report,
    acts_again,
    start_seeds,
)
from ._evaluation import evaluate_policy
from ._seeds import AbstractSeeds, indices
from ._state import TrainingState


class HostLoop(AbstractEnvironmentLoop):
    """Loop in Gymnasium environments, stepped on the host between compiled programs."""

    def __init__(self, seeds: AbstractSeeds):
        self._seeds = seeds
        self._envs: list[GymnasiumTask] = []

    def collect(
        self,
        training: TrainingState,
        stops: Counts,
        ends: Counts,
        active: Bool[np.ndarray, " seeds"],
        report: Report,
    ) -> tuple[TrainingState, Float[np.ndarray, " seeds"]]:
        seeds, trainer = self._seeds, self._seeds.trainer
        total, count = given(trainer.config.steps), len(seeds.seeds)
        self._open()
        steps = seeds.to_numpy(training.env_steps).copy()
        episodes = seeds.to_numpy(training.episodes).copy()
        rewards_sum, calls = np.zeros(count), 0
        while True:
            acting = np.asarray(
                [
                    active[i]
                    and acts_again(
                        *map(int, (steps[i], self._elapsed[i], stops[i], ends[i], total))
                    )
                    for i in range(count)
                ]
            )
            if not acting.any():
                return training, rewards_sum
            first = self._elapsed == 0
            for i in indices(acting & first):
                try:
                    self._reset(i, int(episodes[i]))
                except EnvironmentFault as fault:
                    raise fault.during(f"after environment step {steps[i]}") from (
                        fault.__cause__
                    )
            before = jax.tree.map(np.copy, self._states)
            actions = seeds.query(trainer.explore, training, (before,))
            rewards, held = np.zeros(count), np.zeros(count, int)
            terminated, ended = np.zeros(count, bool), np.zeros(count, bool)
            for i in indices(acting):
                try:
                    outcome = self._envs[i].step(actions[i], int(total - steps[i]))
                except EnvironmentFault as fault:
                    failed = steps[i] + fault.steps + 1
                    raise fault.during(f"environment step {failed}") from fault.__cause__
                self._actions[i].append(actions[i].tolist())
                self._put(i, outcome.state)
                rewards[i], held[i] = outcome.reward, outcome.steps
                terminated[i] = outcome.terminated
                ended[i] = outcome.terminated or outcome.truncated
            steps += held
            self._elapsed += held
            rewards_sum += rewards
            keep = terminated | (held == trainer.config.task.repeat)
            if trainer.config.task.starts_unknown:
                # The velocity before the first action is a guess that nothing learns from.
                keep &= ~first
            after = jax.tree.map(np.copy, self._states)
            fields: Any = (before, actions, rewards, after, terminated)
            experience = Experience(*fields)
            training, _ = seeds.update(
                trainer.store, training, acting, (experience, held, keep)
            )
            ended |= acting & (steps >= total)
            if ended.any():
                training, _ = seeds.update(trainer.end_episode, training, ended)
                episodes += ended
                self._elapsed[ended] = 0
            calls += 1
            if calls % 10 == 0:
                report(int(steps.max()))

    def between_episodes(self, training: TrainingState) -> Bool[np.ndarray, " seeds"]:
        return self._elapsed == 0

    def evaluate(
        self, training: TrainingState, starts: UInt[np.ndarray, "seeds episodes"]
    ) -> Float[np.ndarray, "seeds episodes"]:
        config, shape = self._seeds.trainer.config, starts.shape

        def act(states: State) -> np.ndarray:
            by_seed = jax.tree.map(lambda x: np.reshape(x, (*shape, -1)), states)
            actions = self._seeds.query(self._seeds.trainer.act, training, (by_seed,))
            return actions.reshape(starts.size, -1)

        flat = [int(start) for start in starts.ravel()]
        returns = evaluate_policy(config.task, act, flat, config.evaluation.max_steps)
        return returns.reshape(shape)

    def unfinished(self) -> list[Episode | None]:
        return [
            Episode(list(self._actions[i]), *(part[i].tolist() for part in self._states))
            if self._elapsed[i] > 0
            else None
            for i in range(len(self._seeds.seeds))
        ]

    def restore(
        self, training: TrainingState, unfinished: Sequence[Episode | None]
    ) -> TrainingState:
        self._open()
        lost = np.asarray(
            [
                episode is not None and not self._repeats(training, i, episode)
                for i, episode in enumerate(unfinished)
            ]
        )
        if not lost.any():
            return training
        task = self._seeds.trainer.config.task
        warnings.warn(
            f"{task.env_id!r} does not repeat an episode exactly after a reset with the same "
            "seed; the episode that was interrupted is left, and a new one begins",
            stacklevel=2,
        )
        self._elapsed[lost] = 0
        return self._seeds.update(self._seeds.trainer.end_episode, training, lost)[0]

    def _repeats(self, training: TrainingState, index: int, episode: Episode) -> bool:
        """Apply the actions of an episode again.

        **Returns:** whether they led to the same state.
        """
        env, repeat = self._envs[index], self._seeds.trainer.config.task.repeat
        dtype = training.buffer.experience.action.dtype
        try:
            self._reset(index, int(self._seeds.to_numpy(training.episodes)[index]))
            for action in episode.actions:
                outcome = env.step(np.asarray(action, dtype))
                if outcome.terminated or outcome.truncated:
                    return False
                self._put(index, outcome.state)
        except EnvironmentFault:
            return False
        self._actions[index] = list(episode.actions)
        self._elapsed[index] = repeat * len(episode.actions)
        found = (part[index].tolist() for part in self._states)
        return [*found] == [episode.q, episode.qd]

    def close(self) -> None:
        for env in self._envs:
            env.close()
        self._envs = []

    def _open(self) -> None:
        if self._envs:
            return
        task, count = self._seeds.trainer.config.task, len(self._seeds.seeds)
        for _ in range(count):  # one by one, so that those that were made are closed
            self._envs.append(GymnasiumTask(task))
        if self._envs[0].bounded_spec != task:
            raise UserError(
                f"`task.action_bounds` was not given, and the actions of {task.env_id!r} are "
                "not symmetric about zero; `lagdyna.tasks.with_action_bounds(task)` adds them"
            )
        self._elapsed = np.zeros(count, int)
        self._actions: list[list[list[float]]] = [[] for _ in range(count)]
        zeros = np.zeros((count, task.state_coordinates.n), jnp.result_type(float))
        self._states = State(zeros, zeros.copy())  # pyright: ignore[reportArgumentType]

    def _reset(self, index: int, episodes: int) -> None:
        """Begin the episode of a seed that follows a number of episodes."""
        start = start_seeds(self._seeds.seeds[index], EPISODE, episodes + 1)[-1]
        self._put(index, self._envs[index].reset(int(start)))
        self._actions[index] = []

    def _put(self, index: int, state: State) -> None:
        for stored, new in zip(self._states, state, strict=True):
            stored[index] = new  # pyright: ignore[reportIndexIssue]
