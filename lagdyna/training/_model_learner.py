"""Learning of the world model from the replay buffer."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree, Scalar, UInt

from .._errors import UserError
from ..agents import Metrics, Phase, Purpose
from ..config import Config, RewardConfig, given
from ..data import ReplayBuffer
from ..filters import AbstractFilter, AbstractPosterior
from ..learners import (
    AbstractLearner,
    AbstractSquaredLoss,
    FrozenLoss,
    PseudoHuberLoss,
    RewardLoss,
    SubstepsLoss,
    learn,
    partition,
    physical,
    received,
    root_mean_square,
    step_scale,
    trainable,
)
from ..mechanics import State
from ..models import AbstractReward, RewardNetwork
from ..parts import (
    Budget,
    DynamicsConfig,
    GradientConfig,
    LearnerConfig,
    StepsLossConfig,
    check_memory,
)
from ..simulate import (
    AbstractTransition,
    SampledTransition,
    WorldModel,
    is_solved,
)
from ..tasks import Plant
from ._in_range import InRange
from ._state import LearnerStates
from ._step_scale import with_step_scale
from ._termination import TerminationLearner
from ._world import make_reward, make_termination


class ModelLearner:
    """Learner of dynamics, reward and termination from a replay buffer.

    **Arguments:**

    - `config`: a resolved config of a run that trains a model.
    - `plant`: the system of the task.
    - `reward`: the reward, if it is known; that of the plant or its simulator if it has one. It
        is learned otherwise.
    """

    def __init__(self, config: Config, plant: Plant, reward: AbstractReward | None = None):
        self.config = config
        self.plant = plant
        self.model: DynamicsConfig = given(config.model)
        self.learner: LearnerConfig = given(config.learner)
        self.reward_options: RewardConfig = given(config.reward)
        known = plant.reward if plant.simulator is None else plant.simulator.reward
        self.given_reward = known if reward is None else reward
        self.in_range = InRange.of(config, plant)
        self._fixed = self.model.fixed_parameters()
        self._updates, self._batch = given(self.learner.updates), given(self.learner.batch)
        self._termination = TerminationLearner(self.learner)
        loss = given(config.loss)
        assert isinstance(loss, StepsLossConfig)
        self.loss = loss
        key = jax.random.key(0)
        initial = lambda: trainable(self.build_transition(key), self._fixed)  # noqa: E731
        self._coordinates = self.model.parametrisation(initial)

    def build_transition(self, key: PRNGKeyArray) -> AbstractTransition:
        """Build the untrained dynamics."""
        solver = self.config.solver
        return self.model.transition(self.plant, solver, key)  # pyright: ignore[reportArgumentType]

    def weights(self) -> dict[str, PyTree]:
        """Shapes of all weights that are learned, by the section of the config."""
        key = jax.random.key(0)
        models: dict[str, Callable[[], Any]] = {
            "model": lambda: trainable(self.build_transition(key), self._fixed)
        }
        if self.given_reward is None:
            models["reward"] = lambda: trainable(make_reward(self.config, self.plant, key))
        return {name: eqx.filter_eval_shape(make) for name, make in models.items()}

    def check_sizes(self) -> None:
        """Refuse a learner that does not fit into memory, or posterior samples of no weights.

        **Raises:** `UserError` if that is so.
        """
        weights = self.weights()
        if self.config.agent.samples and not jax.tree.leaves(weights["model"]):
            raise UserError(
                f"`agent.posterior.samples` was {self.config.agent.samples}, and no parameter "
                f"of the model {self.model.name!r} is learned; 0 is accepted"
            )
        widths = {
            "model": getattr(self.model, "hidden", ()),
            "reward": self.reward_options.hidden,
        }
        for section, each in weights.items():
            check_memory(f"{section}.hidden", self.learner, widths[section], [each])
        check_memory("model.hidden", self.learner, widths["model"], [*weights.values()])

    def init(
        self,
        keys: tuple[PRNGKeyArray, PRNGKeyArray],
        buffer: ReplayBuffer,
        seed: UInt[Array, ""],
    ) -> tuple[WorldModel, LearnerStates]:
        """Create an untrained world model and fresh learners.

        **Arguments:** `keys`, for dynamics and reward; `buffer`, empty; `seed`, of the run.
        """
        model_key, reward_key = keys
        world = WorldModel(
            self.build_transition(model_key),
            self.given_reward or make_reward(self.config, self.plant, reward_key),
            make_termination(self.config, self.plant, jax.random.fold_in(reward_key, 0)),
        )
        dynamics, reward = self._learners(buffer, world, seed)
        states = LearnerStates(
            _fresh(dynamics, self._received(trainable(world.transition, self._fixed))),
            _fresh(reward, self._reward_weights(world.reward)),
            self._termination.begin(world.termination),
        )
        return world, states

    def begin_phase(
        self, world: WorldModel, buffer: ReplayBuffer, phase: Phase
    ) -> tuple[WorldModel, LearnerStates]:
        """Reset the learners, and set the scales of reward and steps from the data.

        A scale that is set may only grow. It stands for what is usual where there are no
        data, and a buffer that fills with the states of a good policy would shrink it.
        """
        done = phase.number - 1
        transition, reward = world.transition, world.reward
        first = done == 0
        transition = with_step_scale(transition, self._step_scale(buffer), first)
        if isinstance(reward, RewardNetwork) and self.given_reward is None:
            mean = _mean(buffer.experience.reward, buffer.filled)
            scale = root_mean_square(buffer.experience.reward - mean, buffer.filled)
            mean = jnp.where(first, mean, reward.location)
            scale = jnp.where(first, scale, jnp.maximum(scale, reward.scale))
            reward = eqx.tree_at(lambda r: (r.location, r.scale), reward, (mean, scale))
        world = WorldModel(transition, reward, world.termination)
        dynamics, reward_learner = self._learners(buffer, world, phase.seed)
        reward_decay = self.reward_options.weight_decay
        states = LearnerStates(
            self._begin(
                dynamics,
                self._received(trainable(transition, self._fixed)),
                phase,
                self._decay,
            ),
            self._begin(reward_learner, self._reward_weights(reward), phase, reward_decay),
            self._termination.begin(world.termination),
        )
        return world, states

    def fit(
        self,
        world: WorldModel,
        states: LearnerStates,
        buffer: ReplayBuffer,
        phase: Phase,
        updates: int,
    ) -> tuple[WorldModel, LearnerStates, Metrics]:
        """Apply a number of updates to dynamics, reward and termination."""
        key, reward_key = jax.random.split(phase.key(Purpose.FIT))
        dynamics, reward = self._learners(buffer, world, phase.seed)
        free, frozen = partition(world.transition, self._fixed)
        before = (self._received(free), states.transition)
        sample = self._sampler(buffer, phase)
        metrics: Metrics = {}
        if jax.tree.leaves(trainable(world.transition, self._fixed)):
            fitted = learn(dynamics, *before, sample, key=key, steps=updates)
            # Without any entry in range there is nothing to learn from, whatever was drawn.
            any_in_range = jnp.any(self.in_range.rows(buffer))
            free, state = jax.tree.map(
                lambda new, old: (
                    jnp.where(any_in_range, new, old) if eqx.is_array(new) else new
                ),
                (fitted.model, fitted.state),
                before,
            )
            free = physical(free, self._coordinates)
            metrics["model_loss"] = jnp.mean(fitted.metrics["loss"])
            skipped = jnp.sum(fitted.metrics["skipped"])
            metrics["model_skipped"] = jnp.where(any_in_range, skipped, updates)
            states = LearnerStates(state, states.reward, states.termination)
        termination, state, more = self._termination.fit(
            world.termination, states.termination, buffer, phase, updates
        )
        metrics.update(more)
        world = WorldModel(eqx.combine(free, frozen), world.reward, termination)
        states = LearnerStates(states.transition, states.reward, state)
        if self.given_reward is not None:
            return world, states, metrics
        free, frozen = partition(world.reward)
        fitted = learn(
            reward,
            free,
            states.reward,
            lambda key: buffer.sample(key, self._batch),
            key=reward_key,
            steps=updates,
        )
        metrics["reward_loss"] = jnp.mean(fitted.metrics["loss"])
        metrics["reward_skipped"] = jnp.sum(fitted.metrics["skipped"])
        reward = eqx.combine(fitted.model, frozen)
        world = WorldModel(world.transition, reward, world.termination)
        states = LearnerStates(states.transition, fitted.state, states.termination)
        return world, states, metrics

    def posterior(
        self, world: WorldModel, states: LearnerStates, buffer: ReplayBuffer, seed: Array
    ) -> AbstractPosterior[AbstractTransition] | None:
        """Posterior that the last phase left of the dynamics; `None` without a filter."""
        if not self.learner.is_filter:  # to build the learners compiles fifty small programs
            return None
        dynamics, _ = self._learners(buffer, world, seed)
        learned = jax.tree.leaves(trainable(world.transition, self._fixed))
        if not (learned and isinstance(dynamics, AbstractFilter)):
            return None
        free, frozen = partition(world.transition, self._fixed)
        posterior = dynamics.posterior(self._received(free), states.transition)
        return posterior.transformed(
            lambda learned: eqx.combine(physical(learned, self._coordinates), frozen)
        )

    def sampled(
        self, world: WorldModel, states: LearnerStates, buffer: ReplayBuffer, phase: Phase
    ) -> WorldModel:
        """Add the posterior samples that the agent imagines in, if it asks for any."""
        if not (count := self.config.agent.samples):
            return world
        posterior = self.posterior(world, states, buffer, phase.seed)
        assert posterior is not None
        samples = SampledTransition(posterior.sample(phase.key(Purpose.SAMPLES), count))
        return WorldModel(world.transition, world.reward, world.termination, samples)

    def _reward_weights(self, reward: AbstractReward) -> PyTree:
        """Select the weights of the reward that are learned."""
        return None if self.given_reward is not None else trainable(reward)

    @property
    def _decay(self) -> float | None:
        learner = self.learner
        return learner.weight_decay if isinstance(learner, GradientConfig) else None

    def _received(self, parameters: PyTree) -> PyTree:
        """Convert parameters of the dynamics to the coordinates of their learner."""
        return received(parameters, self._coordinates)

    def _sampler(self, buffer: ReplayBuffer, phase: Phase) -> Callable[[PRNGKeyArray], PyTree]:
        """Make a function that draws a batch for the dynamics.

        A learner that needs the same batch in all updates of a phase gets that.
        """
        fixed_key = None
        if self.learner.same_batch:
            fixed_key = Phase(phase.seed, phase.number, jnp.zeros((), int)).key(Purpose.FIT)

        return lambda key: self._draw(buffer, key if fixed_key is None else fixed_key)

    def _draw(self, buffer: ReplayBuffer, key: PRNGKeyArray) -> PyTree:
        """Draw a batch for the dynamics."""
        length = self.loss.length
        if length == 1:
            return self.in_range.sample(buffer, key, self._batch)
        return self.in_range.sample_windows(buffer, key, self._batch, length)

    def _begin(
        self, learner: AbstractLearner, weights: PyTree, phase: Phase, decay: float | None
    ) -> PyTree:
        """Create the state of a learner for a phase, with its weight decay."""
        state, options = _fresh(learner, weights), self.learner
        if not (isinstance(options, GradientConfig) and jax.tree.leaves(weights)):
            return state
        parts = max(_LEAST_PHASES, round(options.weight_decay_until * self.config.phases))
        return options.with_weight_decay(
            state, given(decay) * options.decay_left(phase.number - 1, float(parts))
        )

    def _step_scale(self, buffer: ReplayBuffer) -> State:
        coordinates, rows = self.plant.state_coordinates, self.in_range.rows(buffer)
        return step_scale(buffer.experience, coordinates, rows, self.plant.state_unit)

    def _learners(
        self, buffer: ReplayBuffer, world: WorldModel, seed: UInt[Array, ""]
    ) -> tuple[AbstractLearner, AbstractLearner]:
        """Build the learners of dynamics and reward, their losses scaled by the data."""
        transition, reward = world.transition, world.reward
        rows = self.in_range.rows(buffer)
        loss = self.loss.build(self._step_scale(buffer))
        loss = self.model.constrain(loss, self.plant, buffer.experience, rows)
        if self.loss.substeps is not None and is_solved(transition):
            loss = SubstepsLoss(loss, self.loss.substeps)
        return (
            self._dynamics_learner(loss, transition, buffer, rows, seed),
            self._reward_learner(buffer, reward, seed),
        )

    def _dynamics_learner(
        self,
        loss: AbstractSquaredLoss,
        transition: AbstractTransition,
        buffer: ReplayBuffer,
        rows: Bool[Array, " rows"],
        seed: UInt[Array, ""],
    ) -> AbstractLearner:
        learned, frozen = partition(transition, self._fixed)
        free = FrozenLoss(loss, frozen, self._coordinates)
        norm = PseudoHuberLoss(free) if self.loss.norm == "pseudo-huber" else free
        sample = lambda key: self._draw(buffer, key)  # noqa: E731
        errors = self._errors_of_batch(free, self._received(learned), sample)
        budget = self._budget(rows, self.loss.length, seed, errors)
        return self.learner.build(norm, budget)

    def _reward_learner(
        self, buffer: ReplayBuffer, reward: AbstractReward, seed: UInt[Array, ""]
    ) -> AbstractLearner:
        rewards, filled = buffer.experience.reward, buffer.filled
        loss = RewardLoss(root_mean_square(rewards - _mean(rewards, filled), filled))
        learned, frozen = partition(reward)
        free = FrozenLoss(loss, frozen)
        sample = lambda key: buffer.sample(key, self._batch)  # noqa: E731
        errors = self._errors_of_batch(free, learned, sample)
        return self.learner.build(free, self._budget(filled, 1, seed, errors))

    def _errors_of_batch(
        self, loss: FrozenLoss, learned: PyTree, sample: Callable[[PRNGKeyArray], PyTree]
    ) -> int | None:
        """Count the errors of a batch for a filter; `None` for others or without weights."""
        if not (self.learner.is_filter and jax.tree.leaves(learned)):
            return None

        def errors() -> Array:
            batch = sample(jax.random.key(0))
            return jax.vmap(loss.observed_errors, (None, 0))(learned, batch)

        return eqx.filter_eval_shape(errors).size

    def _budget(
        self,
        rows: Bool[Array, " rows"],
        length: int,
        seed: UInt[Array, ""],
        errors: int | None,
    ) -> Budget:
        used = self._updates * self._batch * length
        repeats = used / jnp.maximum(rows.sum(), 1)
        return Budget(self._updates, repeats, seed, errors=errors)


# Phases for which weights decay at least: where they did so for two, models were worse.
_LEAST_PHASES = 5


def _fresh(learner: AbstractLearner, weights: PyTree) -> PyTree:
    """Create the state of a learner; `()` if there is no weight to learn."""
    return learner.init(weights) if jax.tree.leaves(weights) else ()


def _mean(x: Float[Array, " rows"], where: Array) -> Scalar:
    return jnp.sum(jnp.where(where, x, 0)) / jnp.maximum(jnp.sum(where), 1)
