"""Where experience comes from and policies are judged: in the compiled program, or outside."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree, Scalar, UInt

from ..data import Experience
from ..mechanics import State
from ..tasks import GymnasiumTask, SuiteTask, suite_task
from ..tasks.suite import start as episode_start
from ._evaluation import evaluate_policy
from ._seeds import AbstractSeeds, places
from ._trainer import Live, Trainer, Training

Counts = Int[np.ndarray, " seeds"]
Tell = Callable[[int], None]


class AbstractWorld(abc.ABC):
    """The real environment of each seed, as a run knows it."""

    @abc.abstractmethod
    def collect(
        self,
        training: Training,
        stops: Counts,
        ends: Counts,
        going: Bool[np.ndarray, " seeds"],
        tell: Tell,
    ) -> tuple[Training, Float[np.ndarray, " seeds"]]:
        """Acts, and stores what happens.

        **Arguments:** (environment steps are counted from the run's beginning)

        - `training`: of all seeds.
        - `stops`: how many steps each seed shall have.
        - `ends`: from how many on it stops before that at the end of an episode, which is
            the end of a round. The end of the run comes before everything.
        - `going`: which seeds act at all.
        - `tell`: is now and then called with the number of steps.

        **Returns:** the training, and the sum of each seed's rewards.
        """

    @abc.abstractmethod
    def between(self, training: Training) -> Bool[np.ndarray, " seeds"]:
        """Which seeds have ended an episode and not begun the next."""

    @abc.abstractmethod
    def evaluate(
        self, training: Training, starts: UInt[np.ndarray, "seeds episodes"]
    ) -> Float[np.ndarray, "seeds episodes"]:
        """The returns of the policies without noise, in whole episodes that teach nothing.

        **Arguments:** `starts`, the seed of each episode.

        **Raises:** `UserError` if an episode is longer than the config allows.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Frees what the environments hold; they open again when they are needed."""


def make_world(seeds: AbstractSeeds) -> AbstractWorld:
    """The compiled world for tasks of the suite, the host for all others."""
    suite = seeds.trainer.suite
    return HostWorld(seeds) if suite is None else CompiledWorld(seeds, suite_task(suite))


def _goes_on(steps: int, elapsed: int, stop: int, end: int, total: int) -> bool:
    """Whether a seed acts once more."""
    return steps < min(stop, total) and (steps < end or elapsed > 0)


class CompiledWorld(AbstractWorld):
    """A task of the suite, stepped inside the compiled program in the run's precision.

    Where it is stands in the training. Episodes have the task's length and nothing ends them,
    so all seeds are always at the same step.
    """

    def __init__(self, seeds: AbstractSeeds, task: SuiteTask):
        self._seeds = seeds
        self._task = task

    def collect(
        self,
        training: Training,
        stops: Counts,
        ends: Counts,
        going: Bool[np.ndarray, " seeds"],
        tell: Tell,
    ) -> tuple[Training, Float[np.ndarray, " seeds"]]:
        seeds, total = self._seeds, self._seeds.trainer.config.steps_or_default
        assert training.live is not None
        program = jax.tree_util.Partial(_collect, seeds.trainer, self._task)
        paid = np.zeros(len(seeds.seeds))
        steps = int(seeds.numbers(training.env_steps)[0])
        elapsed = int(seeds.numbers(training.live.elapsed)[0])
        stop, end = int(stops[0]), int(ends[0])
        while _goes_on(steps, elapsed, stop, end, total):
            began, actions = steps, 0
            while _goes_on(steps, elapsed, stop, end, total) and steps - began < _PIECE:
                length = self._length(steps, elapsed)
                steps, elapsed = steps + length, (elapsed + length) % self._task.horizon
                actions += 1
            # An array, because a Python number would be compiled into the program.
            count = (np.asarray(actions, np.int32),)
            training, rewards = seeds.change(program, training, going, shared=count)
            paid += rewards
            tell(steps)
        return training, paid

    def between(self, training: Training) -> Bool[np.ndarray, " seeds"]:
        assert training.live is not None
        return self._seeds.numbers(training.live.elapsed) == 0

    def _length(self, steps: int, elapsed: int) -> int:
        """For how many steps the next action is held."""
        config = self._seeds.trainer.config
        rest = min(self._task.horizon - elapsed, config.steps_or_default - steps)
        return min(config.task.repeat, rest)

    def evaluate(
        self, training: Training, starts: UInt[np.ndarray, "seeds episodes"]
    ) -> Float[np.ndarray, "seeds episodes"]:
        repeat = self._seeds.trainer.config.task.repeat
        program = jax.tree_util.Partial(_evaluate, self._task, repeat)
        return self._seeds.ask(program, training, (starts,)).astype(float)

    def close(self) -> None:
        pass


_PIECE = 1000  # environment steps in one call, short enough to watch and to interrupt


@eqx.filter_jit
def _collect(
    trainer: Trainer, task: SuiteTask, training: Training, count: Int[Array, ""]
) -> tuple[Training, Scalar]:
    """So many actions, and the sum of their rewards."""
    arrays, rest = eqx.partition(training, eqx.is_array)

    def body(_: Array, carry: tuple[PyTree, Scalar]) -> tuple[PyTree, Scalar]:
        arrays, paid = carry
        training, reward = _act(trainer, task, eqx.combine(arrays, rest))
        return eqx.filter(training, eqx.is_array), paid + reward

    nothing = jnp.zeros((), training.buffer.experience.reward.dtype)
    # The number of rounds is the same for all seeds: were it each one's own, every round would
    # choose between whole buffers.
    arrays, paid = jax.lax.fori_loop(0, count, body, (arrays, nothing))
    return eqx.combine(arrays, rest), paid


def _act(trainer: Trainer, task: SuiteTask, training: Training) -> tuple[Training, Scalar]:
    live, config = training.live, trainer.config
    assert live is not None
    repeat = config.task.repeat
    action = trainer.explore(training, live.state)
    rest = jnp.minimum(
        task.horizon - live.elapsed, config.steps_or_default - training.env_steps
    )
    length = jnp.minimum(repeat, rest)
    state, reward = _hold(task, live.state, action, repeat, length)
    never = jnp.zeros((), bool)
    experience = Experience(live.state, action, reward, state, never)
    training = trainer.store(training, experience, length, length == repeat)
    elapsed = live.elapsed + length
    ended = (elapsed >= task.horizon) | (training.env_steps >= config.steps_or_default)
    episodes = training.episodes + ended
    fresh = Live(
        task.reset(trainer.start_key(training.seed, episodes)), jnp.zeros_like(elapsed)
    )
    live = jax.tree.map(lambda a, b: jnp.where(ended, a, b), fresh, Live(state, elapsed))
    return eqx.tree_at(lambda t: (t.live, t.episodes), training, (live, episodes)), reward


def _hold(
    task: SuiteTask,
    state: State,
    action: Float[Array, " m"],
    repeat: int,
    length: Int[Array, ""],
) -> tuple[State, Scalar]:
    """The state after `action` was held for `length` steps, `repeat` at most; their rewards."""

    def body(carry: tuple[State, Scalar], i: Array) -> tuple[tuple[State, Scalar], None]:
        state, paid = carry
        following, reward = task.step(state, action)
        state = jax.tree.map(lambda a, b: jnp.where(i < length, a, b), following, state)
        return (state, paid + jnp.where(i < length, reward, 0)), None

    nothing = jnp.zeros((), state.q.dtype)
    (state, paid), _ = jax.lax.scan(body, (state, nothing), jnp.arange(repeat))
    return state, paid


@eqx.filter_jit
def _evaluate(
    task: SuiteTask, repeat: int, training: Training, starts: UInt[Array, " episodes"]
) -> Float[Array, " episodes"]:
    """The return of an episode from each start, all of them at once."""
    policy = training.policy

    def body(state: State, step: Array) -> tuple[State, Scalar]:
        rest = jnp.minimum(repeat, task.horizon - step)
        return _hold(task, state, policy.mode(state), repeat, rest)

    def episode(seed: UInt[Array, ""]) -> Scalar:
        state = episode_start(task, seed, jnp.zeros((), jnp.uint32))
        _, rewards = jax.lax.scan(body, state, jnp.arange(0, task.horizon, repeat))
        return jnp.sum(rewards)

    return jax.vmap(episode)(starts)


class HostWorld(AbstractWorld):
    """A Gymnasium environment for each seed, stepped on the host between compiled programs."""

    def __init__(self, seeds: AbstractSeeds):
        self._seeds = seeds
        self._envs: list[GymnasiumTask] = []

    def collect(
        self,
        training: Training,
        stops: Counts,
        ends: Counts,
        going: Bool[np.ndarray, " seeds"],
        tell: Tell,
    ) -> tuple[Training, Float[np.ndarray, " seeds"]]:
        seeds, trainer = self._seeds, self._seeds.trainer
        total, count = trainer.config.steps_or_default, len(seeds.seeds)
        self._open()
        steps = seeds.numbers(training.env_steps).copy()
        episodes = seeds.numbers(training.episodes).copy()
        paid, calls = np.zeros(count), 0
        while True:
            acting = np.asarray(
                [
                    going[i]
                    and _goes_on(
                        *map(int, (steps[i], self._elapsed[i], stops[i], ends[i], total))
                    )
                    for i in range(count)
                ]
            )
            if not acting.any():
                return training, paid
            for i in places(acting & (self._elapsed == 0)):
                start = start_seeds(seeds.seeds[i], EPISODE, int(episodes[i]) + 1)[-1]
                self._put(i, self._envs[i].reset(int(start)))
            before = jax.tree.map(np.copy, self._states)
            actions = seeds.ask(trainer.explore, training, (before,))
            rewards, held = np.zeros(count), np.zeros(count, int)
            terminated, ended = np.zeros(count, bool), np.zeros(count, bool)
            for i in places(acting):
                outcome = self._envs[i].step(actions[i], int(total - steps[i]))
                self._put(i, outcome.state)
                rewards[i], held[i] = outcome.reward, outcome.steps
                terminated[i] = outcome.terminated
                ended[i] = outcome.terminated or outcome.truncated
            steps += held
            self._elapsed += held
            paid += rewards
            keep = terminated | (held == trainer.config.task.repeat)
            after = jax.tree.map(np.copy, self._states)
            fields: Any = (before, actions, rewards, after, terminated)
            experience = Experience(*fields)
            training, _ = seeds.change(
                trainer.store, training, acting, (experience, held, keep)
            )
            ended |= acting & (steps >= total)
            if ended.any():
                training, _ = seeds.change(trainer.end_episode, training, ended)
                episodes += ended
                self._elapsed[ended] = 0
            calls += 1
            if calls % 10 == 0:
                tell(int(steps.max()))

    def between(self, training: Training) -> Bool[np.ndarray, " seeds"]:
        return self._elapsed == 0

    def evaluate(
        self, training: Training, starts: UInt[np.ndarray, "seeds episodes"]
    ) -> Float[np.ndarray, "seeds episodes"]:
        config, shape = self._seeds.trainer.config, starts.shape

        def act(states: State) -> np.ndarray:
            by_seed = jax.tree.map(lambda x: np.reshape(x, (*shape, -1)), states)
            actions = self._seeds.ask(self._seeds.trainer.act, training, (by_seed,))
            return actions.reshape(starts.size, -1)

        flat = [int(start) for start in starts.ravel()]
        returns = evaluate_policy(config.task, act, flat, config.evaluation.max_steps)
        return returns.reshape(shape)

    def close(self) -> None:
        for env in self._envs:
            env.close()
        self._envs = []

    def _open(self) -> None:
        if self._envs:
            return
        task, count = self._seeds.trainer.config.task, len(self._seeds.seeds)
        self._envs = [GymnasiumTask(task) for _ in range(count)]
        self._elapsed = np.zeros(count, int)
        zeros = np.zeros((count, task.state_coordinates.n), jnp.result_type(float))
        self._states = State(zeros, zeros.copy())  # pyright: ignore[reportArgumentType]

    def _put(self, index: int, state: State) -> None:
        for stored, new in zip(self._states, state, strict=True):
            stored[index] = new  # pyright: ignore[reportIndexIssue]


# What a seed given to an environment is for; part of it, so that no two are the same.
EPISODE, EVALUATE, PICTURE, EVALUATE_AGAIN = range(4)


def start_seeds(seed: int, purpose: int, count: int) -> UInt[np.ndarray, " count"]:
    """Seeds for environments, of a run with that seed."""
    return np.random.SeedSequence([seed, purpose]).generate_state(count)
