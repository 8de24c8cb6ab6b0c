"""Dyna: an off-policy agent that learns from real and imagined transitions."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Key, PRNGKeyArray, PyTree

from ...data import Experience, ReplayBuffer
from ...mechanics import Limits, State
from ...simulate import WorldModel
from .._agent import AbstractAgent, AbstractAgentState, Metrics, Phase, Purpose, required
from .._disagreement import disagreement
from .._networks import AbstractPolicy
from .._starts import AbstractStarts, MixedStarts
from ._base import AbstractOffPolicy, OffPolicyState


class DynaState(AbstractAgentState):
    """State of a [`lagdyna.agents.Dyna`][] agent.

    **Attributes:**

    - `learned`: the state of the off-policy actor-critic.
    - `imagined`: the imagined transitions, `D_model`; `None` without a model.
    """

    learned: OffPolicyState
    imagined: ReplayBuffer | None

    @property
    def policy(self) -> AbstractPolicy:
        """Actor."""
        return self.learned.policy


class Dyna(AbstractAgent[DynaState]):
    """Off-policy agent that learns from real and imagined transitions.

    Real experience trains a world model. Its rollouts and the real data together train an
    off-policy actor-critic (Sutton 1990; Das et al. 2026, Algorithm 1).

    **Arguments:**

    - `learner`: the actor-critic, [`lagdyna.agents.TD3`][], [`lagdyna.agents.SAC`][] or
        another [`lagdyna.agents.AbstractOffPolicy`][].
    - `batch`: transitions in an update.
    - `ratio`: the fraction of them that is imagined. With 0 the agent uses no model.
    - `starts`: the states that rollouts start from.
    - `rollouts`, `length`: the number and the steps of the rollouts that are imagined before
        each chunk of updates.
    - `capacity`: of `D_model`; when it is full, new transitions replace the oldest.
    - `limits`: the box that imagined states are clipped to.
    - `pessimism`: the weight of the disagreement that is subtracted from imagined rewards. The
        disagreement is the standard deviation, over the posterior samples of the dynamics, of
        the reward plus the discounted next value.

    **Raises:** `ValueError` if `ratio` is not between 0 and 1, one of `batch`, `rollouts` and
    `length` is not positive, `capacity` is less than what is imagined at a time, or `starts`
    has counts that do not sum to `rollouts`.
    """

    learner: AbstractOffPolicy
    batch: int = eqx.field(static=True)
    ratio: float = eqx.field(static=True)
    starts: AbstractStarts
    rollouts: int = eqx.field(static=True)
    length: int = eqx.field(static=True)
    capacity: int = eqx.field(static=True)
    limits: Limits = eqx.field(static=True)
    pessimism: float = eqx.field(static=True, default=0.0)

    def __check_init__(self):
        if not 0 <= self.ratio <= 1:
            raise ValueError(f"`ratio` must be between 0 and 1, got {self.ratio}")
        if min(self.batch, self.rollouts, self.length) < 1:
            raise ValueError(
                "`batch`, `rollouts` and `length` must be positive, got "
                f"{self.batch}, {self.rollouts} and {self.length}"
            )
        if not self.uses_model:
            return
        if self.capacity < self.rollouts * self.length:
            raise ValueError(
                f"`capacity` was {self.capacity}, and {self.rollouts} rollouts of "
                f"{self.length} steps are imagined at a time"
            )
        if isinstance(self.starts, MixedStarts) and self.starts.batch != self.rollouts:
            raise ValueError(
                f"`starts` has counts {self.starts.counts}, which must sum to `rollouts`, "
                f"{self.rollouts}"
            )

    @property
    def uses_model(self) -> bool:
        """Whether a part of each batch is imagined."""
        return self.ratio > 0

    def init(self, key: PRNGKeyArray) -> DynaState:
        """Create an untrained policy and critics, and an empty `D_model`."""
        imagined = None
        if self.uses_model:
            n = self.learner.features.coordinates.n
            imagined = ReplayBuffer.empty(self.capacity, n, self.learner.action_size)
        return DynaState(self.learner.init(key), imagined)

    def improve(
        self,
        state: DynaState,
        world: WorldModel | None,
        buffer: ReplayBuffer,
        phase: Phase,
        updates: int,
    ) -> tuple[DynaState, Metrics]:
        keys = jax.random.split(phase.key(Purpose.IMPROVE), 4)
        start_key, real_key, imagine_key, key = keys
        if self.uses_model:
            world = required(world)
            starts = self.starts.prepare(phase.key(Purpose.HIGH_REWARD), buffer, world)
            state = self.imagine(
                state,
                world,
                starts.sample(start_key, buffer, self.rollouts),
                buffer.sample(real_key, self.rollouts),
                key=imagine_key,
            )
        return self._updates(state, buffer, jax.random.split(key, updates))

    def imagine(
        self,
        state: DynaState,
        world: WorldModel,
        starts: State,
        fallback: Experience,
        *,
        key: PRNGKeyArray,
    ) -> DynaState:
        """Add rollouts of the current noisy policy in the world model to `D_model`.

        A rollout that terminates or is not finite continues from its start.

        **Arguments:**

        - `state`: from `init` or the last call.
        - `world`: the model.
        - `starts`: a `State` of shapes `(rollouts, n)`.
        - `fallback`: real transitions, leading axis `rollouts`, that replace transitions which
            are not finite.
        - `key`: for the noise of the policy.

        **Raises:** `ValueError` if the number of posterior samples does not divide `rollouts`,
        or `pessimism` is set and the world has fewer than two.
        """
        assert state.imagined is not None
        policy, transition = state.policy, world.imagined

        def value(states: State, actions: Array, next_states: State) -> Array:
            next_states = self.limits.clip(next_states)
            alive = 1 - jax.vmap(world.termination)(next_states)
            values = self.learner.values(state.learned, next_states)
            rewards = world.rewards(states, actions, next_states)
            return rewards + self.learner.discount * alive * values

        def step(states: State, eps: Array) -> tuple[State, Experience]:
            actions, _ = jax.vmap(policy.sample)(states, eps)
            next_states = self.limits.clip(transition.steps(states, actions))
            rewards = world.rewards(states, actions, next_states)
            if self.pessimism:
                rewards = rewards - self.pessimism * disagreement(
                    transition, states, actions, partial(value, states, actions)
                )
            ended = world.ended(next_states)
            made = Experience(states, actions, rewards, next_states, ended)
            finite = jnp.isfinite(rewards) & _is_finite(next_states)
            made = _where(finite, made, fallback)
            return _where(finite & ~ended, next_states, starts), made

        shape = (self.length, self.rollouts, self.learner.action_size)
        eps = jax.random.normal(key, shape, fallback.action.dtype)
        _, made = jax.lax.scan(step, starts, eps)
        made = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), made)
        imagined = state.imagined.add(made, jnp.zeros((), int))
        return DynaState(state.learned, imagined)

    def update(
        self, state: DynaState, buffer: ReplayBuffer, *, key: PRNGKeyArray
    ) -> tuple[OffPolicyState, Metrics]:
        """Update the actor-critic once, from real and imagined transitions.

        **Arguments:** `buffer`, the real experience.

        **Returns:** the state of the actor-critic, and its metrics.
        """
        real_key, imagined_key, key = jax.random.split(key, 3)
        count = round(self.ratio * self.batch)  # rounded as the config's check does
        batch = buffer.sample(real_key, self.batch - count)
        if state.imagined is not None and count:
            imagined = state.imagined.sample(imagined_key, count)
            batch = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), batch, imagined)
        return self.learner.update(state.learned, batch, key)

    def _updates(
        self, state: DynaState, buffer: ReplayBuffer, keys: Key[Array, " updates"]
    ) -> tuple[DynaState, Metrics]:
        """Apply one update per key, and compute the means of their metrics."""
        arrays, rest = eqx.partition(state.learned, eqx.is_array)

        def body(arrays: PyTree, key: PRNGKeyArray) -> tuple[PyTree, Metrics]:
            learned = eqx.combine(arrays, rest)
            # The transitions are constants of the loop, so they are not copied.
            after, metrics = self.update(DynaState(learned, state.imagined), buffer, key=key)
            return eqx.filter(after, eqx.is_array), metrics

        arrays, metrics = jax.lax.scan(body, arrays, keys)
        skipped = jnp.sum(metrics.pop("skipped"))
        means = {name: jnp.mean(values) for name, values in metrics.items()}
        state = DynaState(eqx.combine(arrays, rest), state.imagined)
        return state, {**means, "skipped": skipped}


def _is_finite(states: State) -> Bool[Array, " batch"]:
    return jnp.all(jnp.isfinite(states.q) & jnp.isfinite(states.qd), axis=-1)


def _where(condition: Bool[Array, " batch"], yes: PyTree, no: PyTree) -> PyTree:
    """Choose rows of one of two PyTrees."""
    return jax.tree.map(
        lambda a, b: jnp.where(condition.reshape(-1, *(1,) * (a.ndim - 1)), a, b), yes, no
    )
