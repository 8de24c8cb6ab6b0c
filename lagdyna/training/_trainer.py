"""Compiled programs of a training run."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, UInt

from .._errors import UserError
from .._forwarding import forwarding_jit
from .._strong_types import strongly_typed
from ..agents import (
    AbstractAgent,
    Exploration,
    ImaginationAgent,
    Metrics,
    Purpose,
    rewards_are_equal,
    run_key,
)
from ..config import Config, Known, given
from ..data import Experience, ReplayBuffer
from ..filters import AbstractPosterior
from ..mechanics import State
from ..models import GivenReward, RewardFn
from ..parts import LearnerConfig
from ..simulate import AbstractTransition
from ..tasks import suite_name, suite_task
from ._in_range import InRange
from ._model_learner import ModelLearner
from ._state import EnvironmentState, TrainingState


class Trainer:
    """Parts of a training run, built from its config, and the compiled programs that use them.

    Every program takes and returns a [`lagdyna.training.TrainingState`][] of the same shapes,
    so each is compiled once per run. Trainers that differ in the seed alone share programs.
    Random keys are made from the seed and from counts in the state.

    **Arguments:**

    - `config`: of the run; `Trainer.config` is the resolved one.
    - `reward`: a differentiable function of `(state, action, next_state)`, if the reward is
        known; it is learned otherwise.
    - `known`: the known equations of the model, in place of `model.known`.

    **Raises:** `UserError` if the model needs equations and there are none, they do not fit
    the task, or there are two known rewards.
    """

    def __init__(
        self, config: Config, reward: RewardFn | None = None, known: Known | None = None
    ):
        plant = config.plant(known)
        if reward is not None and plant.reward is not None:
            raise UserError(
                "`reward` was given with `reward.known`, the reward of the environment; give "
                "one of the two"
            )
        given_reward = None if reward is None else GivenReward(reward)
        config = config.resolved(plant)
        learner = None
        if config.agent.uses_model:
            learner = ModelLearner(config, plant, given_reward)
            if type(learner.learner).resolved is not LearnerConfig.resolved:
                config = config.resolved(plant, [*learner.weights().values()])
                learner = ModelLearner(config, plant, given_reward)
        self.config = config
        self.plant = plant
        self.model_learner: ModelLearner | None = learner
        if learner is not None and learner.given_reward is not None:
            plant = plant._replace(sparse_reward=False)  # a known reward need not be met first
        self.agent: AbstractAgent = config.agent.build(plant, config.schedule)
        self.exploration = Exploration(
            given(config.collect.random_steps),
            config.collect.hold,
            given(config.collect.random_stretches),
            plant.action_size,
        )
        self.suite = suite_name(config.task)
        self._in_range = InRange.of(config, plant)
        # Everything that the compiled programs depend on; the seed reaches them as an array.
        self._known, self._given_reward = known, given_reward
        self._identity = (dataclasses.replace(config, seed=0), given_reward, id(known))
        self._hash = hash(self._identity)  # every call of a program asks for it

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Trainer) and self._identity == other._identity

    def __hash__(self) -> int:
        return self._hash

    def with_seed(self, seed: int) -> "Trainer":
        """Copy the trainer for another seed; it shares the compiled programs."""
        return self._with(seed=seed)

    def with_steps(self, steps: int) -> "Trainer":
        """Copy the trainer for another number of environment steps in total."""
        return self._with(steps=steps)

    def _with(self, **changes: int) -> "Trainer":
        config = dataclasses.replace(self.config, **changes)
        reward = self._given_reward
        return Trainer(config, None if reward is None else reward.function, self._known)

    @property
    def given(self) -> tuple[str, ...]:
        """Names of what was given as Python objects, which the config does not hold."""
        return () if self._given_reward is None else ("reward",)

    def init(self) -> TrainingState:
        """Create the state of a run that has not begun.

        **Raises:** `UserError` if the learner does not fit into memory.
        """
        self.check_sizes()
        return self.first(short_seed(self.config.seed))

    def check_sizes(self) -> None:
        """Refuse a learner that does not fit into memory.

        **Raises:** `UserError` if that is so.
        """
        if self.model_learner is not None:
            self.model_learner.check_sizes()

    @eqx.filter_jit
    def first(self, seed: UInt[Array, ""]) -> TrainingState:
        """Create the state of a run that has not begun, for any seed."""
        zero = jnp.zeros((), int)
        key = jax.random.fold_in(jax.random.key(seed), Purpose.INIT)
        model_key, reward_key, agent_key = jax.random.split(key, 3)
        n, m = self.plant.state_coordinates.n, self.plant.action_size
        buffer = ReplayBuffer.empty(self._capacity, n, m)
        world = learners = None
        if self.model_learner is not None:
            keys = (model_key, reward_key)
            world, learners = self.model_learner.init(keys, buffer, seed)
        state = TrainingState(
            world,
            learners,
            self.agent.init(agent_key),
            buffer,
            self._start(seed),
            seed,
            *(zero for _ in range(5)),
        )
        return strongly_typed(state)

    @property
    def _capacity(self) -> int:
        """Capacity of the replay buffer; by default enough for all experience."""
        config = self.config
        if config.collect.capacity is not None:
            return config.collect.capacity
        # On the host an episode may end with any step, and that transition is stored.
        repeat = 1 if self.suite is None else config.task.repeat
        return -(-given(config.steps) // repeat)

    def _start(self, seed: UInt[Array, ""]) -> EnvironmentState | None:
        if self.suite is None:
            return None
        zero = jnp.zeros((), int)
        state = suite_task(self.suite).reset(self.start_key(seed, zero))
        return EnvironmentState(state, zero)

    def start_key(self, seed: UInt[Array, ""], episode: Int[Array, ""]) -> PRNGKeyArray:
        """Make the key of an episode's start inside the compiled program."""
        return run_key(seed, Purpose.START, episode)

    @eqx.filter_jit
    def explore(self, training: TrainingState, state: State) -> Float[Array, " m"]:
        """Draw an exploratory action for one state."""
        seeks_new = None
        if self.seeks_new_states:
            seeks_new = rewards_are_equal(training.buffer)
        return self.exploration.action(
            training.explorer,
            _cast(state, training),
            seed=training.seed,
            phases=training.phases,
            actions=training.actions,
            env_steps=training.env_steps,
            seeks_new=seeks_new,
        )

    @property
    def seeks_new_states(self) -> bool:
        """Whether the agent seeks new states as long as all rewards are equal."""
        return isinstance(self.agent, ImaginationAgent) and self.agent.novelty is not None

    @eqx.filter_jit
    def act(self, training: TrainingState, states: State) -> Float[Array, "batch m"]:
        """Compute the policy's actions without noise in a batch of states.

        **Raises:** `ValueError` if `states` is no batch of states, such as an observation.
        """
        check_batch(states, self.plant.state_coordinates.n)
        return jax.vmap(training.policy.mode)(_cast(states, training))

    @forwarding_jit
    def store(
        self,
        training: TrainingState,
        experience: Experience,
        steps: Int[Array, ""],
        keep: Bool[Array, ""],
    ) -> TrainingState:
        """Store the transition of one action, if it is to be kept.

        States beyond the limits of imagined rollouts are stored at the limit, as these see
        them. Their reward is learned, their dynamics are not.

        **Arguments:** `steps`, environment steps for which the action was held.
        """
        entry = jax.tree.map(
            lambda new, stored: jnp.asarray(new, stored.dtype)[None],
            self._in_range.clip(experience),
            training.buffer.experience,
        )
        return eqx.tree_at(
            lambda t: (t.buffer, t.env_steps, t.actions),
            training,
            (
                training.buffer.add(entry, training.episodes, keep),
                training.env_steps + steps,
                training.actions + 1,
            ),
        )

    @forwarding_jit
    def begin_phase(self, training: TrainingState) -> TrainingState:
        """Begin a training phase: reset the learners, let the agent prepare."""
        training = eqx.tree_at(lambda t: t.phases, training, training.phases + 1)
        phase = training.phase(jnp.zeros((), int))
        agent = self.agent.begin_phase(training.agent, phase)
        training = eqx.tree_at(lambda t: t.agent, training, agent)
        if self.model_learner is None:
            return training
        world, learners = self.model_learner.begin_phase(
            given(training.world), training.buffer, phase
        )
        return eqx.tree_at(lambda t: (t.world, t.learners), training, (world, learners))

    @forwarding_jit
    def fit(
        self, training: TrainingState, chunk: Int[Array, ""], updates: int
    ) -> tuple[TrainingState, Metrics]:
        """Apply a chunk of updates to the world model.

        **Arguments:** `chunk`, the number of the call in this phase.
        """
        assert self.model_learner is not None
        world, learners, metrics = self.model_learner.fit(
            given(training.world),
            given(training.learners),
            training.buffer,
            training.phase(chunk),
            updates,
        )
        training = eqx.tree_at(lambda t: (t.world, t.learners), training, (world, learners))
        return training, metrics

    @forwarding_jit
    def improve(
        self, training: TrainingState, chunk: Int[Array, ""], updates: int
    ) -> tuple[TrainingState, Metrics]:
        """Apply a chunk of updates to the agent; `chunk` as for `fit`."""
        phase, world, buffer = training.phase(chunk), training.world, training.buffer
        if self.model_learner is not None:
            world = self.model_learner.sampled(
                given(world), given(training.learners), buffer, phase
            )
        buffer = self._relabelled(buffer)
        agent, metrics = self.agent.improve(training.agent, world, buffer, phase, updates)
        others = {name: each for name, each in metrics.items() if name != "skipped"}
        metrics = {**others, "agent_skipped": metrics.get("skipped", jnp.zeros(()))}
        return eqx.tree_at(lambda t: t.agent, training, agent), metrics

    def _relabelled(self, buffer: ReplayBuffer) -> ReplayBuffer:
        """Replace the rewards of a buffer by the given reward, which may be another one."""
        if self._given_reward is None:
            return buffer
        entries = buffer.experience
        rewards = jax.vmap(self._given_reward)(
            entries.state, entries.action, entries.next_state
        )
        return eqx.tree_at(
            lambda b: b.experience.reward, buffer, rewards.astype(entries.reward.dtype)
        )

    @property
    def selects_policies(self) -> bool:
        """Whether the agent does anything at the end of a phase."""
        return type(self.agent).end_phase is not AbstractAgent.end_phase

    @forwarding_jit
    def end_phase(self, training: TrainingState) -> tuple[TrainingState, Metrics]:
        """End a training phase: the agent selects the policy that acts."""
        agent, metrics = self.agent.end_phase(
            training.agent,
            training.world,
            training.buffer,
            training.phase(jnp.zeros((), int)),
        )
        return eqx.tree_at(lambda t: t.agent, training, agent), metrics

    @forwarding_jit
    def end_episode(self, training: TrainingState) -> TrainingState:
        """Count an episode."""
        return eqx.tree_at(lambda t: t.episodes, training, training.episodes + 1)

    @forwarding_jit
    def end_round(self, training: TrainingState) -> TrainingState:
        """Count a round."""
        return eqx.tree_at(lambda t: t.rounds, training, training.rounds + 1)

    def posterior(
        self, training: TrainingState
    ) -> AbstractPosterior[AbstractTransition] | None:
        """Posterior that the last phase left of the dynamics; `None` without a filter."""
        if self.model_learner is None:
            return None
        return self.model_learner.posterior(
            given(training.world), given(training.learners), training.buffer, training.seed
        )


def short_seed(seed: int) -> UInt[Array, ""]:
    """Reduce a seed to 32 bits."""
    return jnp.asarray(seed % 2**32, jnp.uint32)


def check_batch(states: object, n: int) -> None:
    """Raise `ValueError` for anything but a batch of states of `n` coordinates."""
    if not isinstance(states, State):
        shape = getattr(states, "shape", None)
        of = f" of shape {shape}" if shape is not None else ""
        raise ValueError(
            f"`states` was of type {type(states).__name__}{of}; a lagdyna.State is accepted, "
            f"with q and qd of shape (batch, {n}); lagdyna.tasks.read_state(spec, observation) "
            "reads it from an observation"
        )
    for name, x in states._asdict().items():
        if len(x.shape) != 2 or x.shape[1] != n:
            raise ValueError(
                f"`states.{name}` has shape {x.shape}; shape (batch, {n}) is accepted, also "
                "for a single state"
            )


def _cast(state: State, training: TrainingState) -> State:
    """Convert a state of the host to the precision of the run."""
    dtype = training.buffer.experience.state.q.dtype
    return State(jnp.asarray(state.q, dtype), jnp.asarray(state.qd, dtype))
