"""Environments of the rigid-body suite, stepped inside the compiled program."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree, Scalar, UInt

from ..config import given
from ..data import Experience
from ..mechanics import State
from ..tasks import SuiteTask
from ..tasks.suite import start as episode_start
from ._environment import AbstractEnvironmentLoop, Counts, Episode, Report, acts_again
from ._seeds import AbstractSeeds
from ._state import EnvironmentState, TrainingState
from ._trainer import Trainer


class CompiledLoop(AbstractEnvironmentLoop):
    """Loop in a task of the suite, in the precision of the run.

    The environment is part of the training state. All episodes have the task's length, so all
    seeds are always at the same step.
    """

    def __init__(self, seeds: AbstractSeeds, task: SuiteTask):
        self._seeds = seeds
        self._task = task

    def collect(
        self,
        training: TrainingState,
        stops: Counts,
        ends: Counts,
        active: Bool[np.ndarray, " seeds"],
        report: Report,
    ) -> tuple[TrainingState, Float[np.ndarray, " seeds"]]:
        seeds, total = self._seeds, given(self._seeds.trainer.config.steps)
        assert training.environment is not None
        program = jax.tree_util.Partial(_collect, seeds.trainer, self._task)
        rewards_sum = np.zeros(len(seeds.seeds))
        steps = int(seeds.to_numpy(training.env_steps)[0])
        elapsed = int(seeds.to_numpy(training.environment.elapsed)[0])
        stop, end = int(stops[0]), int(ends[0])
        while acts_again(steps, elapsed, stop, end, total):
            began, actions = steps, 0
            while acts_again(steps, elapsed, stop, end, total) and steps - began < _PIECE:
                length = self._length(steps, elapsed)
                steps, elapsed = steps + length, (elapsed + length) % self._task.horizon
                actions += 1
            # An array, because a Python number would be compiled into the program.
            count = (np.asarray(actions, np.int32),)
            training, rewards = seeds.update(program, training, active, shared=count)
            rewards_sum += rewards
            report(steps)
        return training, rewards_sum

    def between_episodes(self, training: TrainingState) -> Bool[np.ndarray, " seeds"]:
        assert training.environment is not None
        return self._seeds.to_numpy(training.environment.elapsed) == 0

    def _length(self, steps: int, elapsed: int) -> int:
        """Steps for which the next action is held."""
        config = self._seeds.trainer.config
        rest = min(self._task.horizon - elapsed, given(config.steps) - steps)
        return min(config.task.repeat, rest)

    def evaluate(
        self, training: TrainingState, starts: UInt[np.ndarray, "seeds episodes"]
    ) -> Float[np.ndarray, "seeds episodes"]:
        repeat = self._seeds.trainer.config.task.repeat
        program = jax.tree_util.Partial(_evaluate, self._task, repeat)
        return self._seeds.query(program, training, (starts,)).astype(float)

    def unfinished(self) -> list[Episode | None]:
        return [None] * len(self._seeds.seeds)

    def restore(
        self, training: TrainingState, unfinished: Sequence[Episode | None]
    ) -> TrainingState:
        return training

    def close(self) -> None:
        pass


_PIECE = 1000  # environment steps in one call, short enough to watch and to interrupt


@eqx.filter_jit
def _collect(
    trainer: Trainer, task: SuiteTask, training: TrainingState, count: Int[Array, ""]
) -> tuple[TrainingState, Scalar]:
    """Take a number of actions, and sum their rewards."""
    arrays, rest = eqx.partition(training, eqx.is_array)

    def body(_: Array, carry: tuple[PyTree, Scalar]) -> tuple[PyTree, Scalar]:
        arrays, rewards_sum = carry
        training, reward = _act(trainer, task, eqx.combine(arrays, rest))
        return eqx.filter(training, eqx.is_array), rewards_sum + reward

    zero = jnp.zeros((), training.buffer.experience.reward.dtype)
    # The number of iterations is shared by all seeds: a loop with one per seed would select
    # between whole buffers in each iteration.
    arrays, rewards_sum = jax.lax.fori_loop(0, count, body, (arrays, zero))
    return eqx.combine(arrays, rest), rewards_sum


def _act(
    trainer: Trainer, task: SuiteTask, training: TrainingState
) -> tuple[TrainingState, Scalar]:
    """Take one action, and store its transition."""
    environment, config = given(training.environment), trainer.config
    repeat = config.task.repeat
    action = trainer.explore(training, environment.state)
    rest = jnp.minimum(
        task.horizon - environment.elapsed, given(config.steps) - training.env_steps
    )
    length = jnp.minimum(repeat, rest)
    state, reward = _hold(task, environment.state, action, repeat, length)
    never = jnp.zeros((), bool)
    experience = Experience(environment.state, action, reward, state, never)
    training = trainer.store(training, experience, length, length == repeat)
    elapsed = environment.elapsed + length
    ended = (elapsed >= task.horizon) | (training.env_steps >= given(config.steps))
    episodes = training.episodes + ended
    fresh = EnvironmentState(
        task.reset(trainer.start_key(training.seed, episodes)), jnp.zeros_like(elapsed)
    )
    environment = jax.tree.map(
        lambda a, b: jnp.where(ended, a, b), fresh, EnvironmentState(state, elapsed)
    )
    training = eqx.tree_at(
        lambda t: (t.environment, t.episodes), training, (environment, episodes)
    )
    return training, reward


def _hold(
    task: SuiteTask,
    state: State,
    action: Float[Array, " m"],
    repeat: int,
    length: Int[Array, ""],
) -> tuple[State, Scalar]:
    """Hold an action for `length` steps, at most `repeat`, and sum their rewards."""

    def body(carry: tuple[State, Scalar], i: Array) -> tuple[tuple[State, Scalar], None]:
        state, rewards_sum = carry
        following, reward = task.step(state, action)
        state = jax.tree.map(lambda a, b: jnp.where(i < length, a, b), following, state)
        return (state, rewards_sum + jnp.where(i < length, reward, 0)), None

    zero = jnp.zeros((), state.q.dtype)
    (state, rewards_sum), _ = jax.lax.scan(body, (state, zero), jnp.arange(repeat))
    return state, rewards_sum


@eqx.filter_jit
def _evaluate(
    task: SuiteTask, repeat: int, training: TrainingState, starts: UInt[Array, " episodes"]
) -> Float[Array, " episodes"]:
    """Compute the return of one episode from each start, all at once."""
    policy = training.policy

    def body(state: State, step: Array) -> tuple[State, Scalar]:
        rest = jnp.minimum(repeat, task.horizon - step)
        return _hold(task, state, policy.mode(state), repeat, rest)

    def episode(seed: UInt[Array, ""]) -> Scalar:
        state = episode_start(task, seed, jnp.zeros((), jnp.uint32))
        _, rewards = jax.lax.scan(body, state, jnp.arange(0, task.horizon, repeat))
        return jnp.sum(rewards)

    return jax.vmap(episode)(starts)
