"""The agent that learns in imagined rollouts."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, PRNGKeyArray, PyTree, Scalar

from ..data import ReplayBuffer
from ..learners import root_mean_square
from ..mechanics import Limits
from ..simulate import WorldModel, with_substeps
from ._actor_critic import ActorCritic, ImaginationActorCritic
from ._agent import (
    AbstractAgent,
    AbstractAgentState,
    Metrics,
    Phase,
    Purpose,
    required,
    run_key,
)
from ._networks import AbstractPolicy, Features, Policy
from ._novelty import NoveltyReward, rewards_are_equal
from ._restarts import PolicyPool, map_arrays
from ._rollouts import imagined_return
from ._starts import AbstractStarts, MixedStarts, scattered_first_states, uniform_states


class ImaginationState(AbstractAgentState):
    """State of an [`lagdyna.agents.ImaginationAgent`][].

    **Attributes:**

    - `actor_critic`: the networks that are being learned.
    - `pool`: the best policy of each restart; `None` in a run without restarts that keeps its
        newest policy.
    """

    actor_critic: ActorCritic
    pool: PolicyPool | None

    @property
    def policy(self) -> AbstractPolicy:
        """Acting policy: that of the pool, or the current one without a pool."""
        return self.actor_critic.policy if self.pool is None else self.pool.policy

    @property
    def explorer(self) -> AbstractPolicy:
        """Policy that collects experience: the current one if there are no restarts.

        What the current policy does wrong in the environment its model learns next. Where the
        best policy collected the experience instead, an acrobot learned more slowly.
        """
        if self.pool is None or self.pool.count == 1:
            return self.actor_critic.policy
        return self.pool.policy


class ImaginationAgent(AbstractAgent[ImaginationState]):
    """Agent that learns in imagined rollouts, with restarts of its policy.

    Each chunk of updates prepares the starts of rollouts once and applies
    [`lagdyna.agents.ImaginationActorCritic`][]. Within a restart interval the entropy
    coefficient follows a cosine schedule.

    Policy and critics are reset at the start of each interval: an agent rarely forgets what
    it learned in early models, which had little data (Nikishin et al. 2022, "The primacy bias
    in deep reinforcement learning"). Meanwhile the best policy of all restarts acts. At the end
    of each phase all of them are compared by their imagined return from
    [`lagdyna.agents.scattered_first_states`][], so that a policy which relies on a few exact
    states does not win.

    **Arguments:**

    - `actor_critic`: the actor-critic.
    - `batch`: imagined rollouts in an update.
    - `starts`: the states that rollouts start from.
    - `sampling_range`: the box of states that are worth imagining. It sets the scale of the
        reward and of the perturbations.
    - `entropy_end`: the fraction of its first value to which the entropy coefficient falls.
    - `entropy_phases`: the training phases of an interval after which it has fallen.
    - `interval`: training phases per policy restart.
    - `restarts`: the number of policies in the run, the first one included.
    - `substeps`: solver steps per action when policies are compared; by default those of the
        model.
    - `newest_phases`: in a run without restarts, the first training phases in which the newest
        policy acts whatever its imagined return; by default all. Afterwards the best policy
        acts, and the newest one collects experience.
    - `novelty`: features of the coordinates that move. With them the agent is rewarded for new
        states, by [`lagdyna.agents.NoveltyReward`][], until two observed rewards differ.

    **Raises:** `ValueError` if `batch`, `entropy_phases`, `interval`, `restarts` or
    `newest_phases` is not positive, `entropy_end` is not between 0 and 1, or `starts` has
    counts that do not sum to `batch`.
    """

    actor_critic: ImaginationActorCritic
    batch: int = eqx.field(static=True)
    starts: AbstractStarts
    sampling_range: Limits = eqx.field(static=True)
    entropy_end: float = eqx.field(static=True)
    entropy_phases: int = eqx.field(static=True)
    interval: int = eqx.field(static=True)
    restarts: int = eqx.field(static=True, default=1)
    substeps: int | None = eqx.field(static=True, default=None)
    newest_phases: int | None = eqx.field(static=True, default=None)
    novelty: Features | None = None

    def __check_init__(self):
        names = ("batch", "entropy_phases", "interval", "restarts", "newest_phases")
        for name in names:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"`{name}` must be positive, got {value}")
        if not 0 <= self.entropy_end <= 1:
            raise ValueError(f"`entropy_end` must be from 0 to 1, got {self.entropy_end}")
        if isinstance(self.starts, MixedStarts) and self.starts.batch != self.batch:
            raise ValueError(
                f"`starts` has counts {self.starts.counts}, which must sum to `batch`, "
                f"{self.batch}"
            )

    @property
    def uses_model(self) -> bool:
        """Always true."""
        return True

    def init(self, key: PRNGKeyArray) -> ImaginationState:
        """Create an untrained agent, and a pool if there are policies to compare."""
        state = self.actor_critic.init(key, self.batch)
        pool = None
        if self.restarts > 1 or self._newest_phases < self.interval:
            pool = PolicyPool.begin(state.policy, self.restarts)
        return ImaginationState(state, pool)

    @property
    def _newest_phases(self) -> int:
        if self.restarts > 1 or self.newest_phases is None:
            return self.interval
        return self.newest_phases

    def begin_phase(self, state: ImaginationState, phase: Phase) -> ImaginationState:
        """Reset policy and critics at the start of a restart interval, except the first."""
        if state.pool is None or state.pool.count == 1:
            return state
        done = phase.number - 1
        restart, within = self.place(done)
        reset = (restart > 0) & (within == 0)
        key = run_key(phase.seed, Purpose.RESTART, done)
        actor_critic = map_arrays(
            lambda new, old: jnp.where(reset, new, old),
            self.actor_critic.init(key, self.batch),
            state.actor_critic,
        )
        return ImaginationState(actor_critic, state.pool)

    def improve(
        self,
        state: ImaginationState,
        world: WorldModel | None,
        buffer: ReplayBuffer,
        phase: Phase,
        updates: int,
    ) -> tuple[ImaginationState, Metrics]:
        world = self._explored(required(world), buffer)
        reward_scale = self.reward_scale(world, buffer, phase)
        entropy = self.entropy(phase.number)
        starts = self.starts.prepare(phase.key(Purpose.HIGH_REWARD), buffer, world)
        arrays, static = eqx.partition(state.actor_critic, eqx.is_array)

        def body(arrays: PyTree, key: PRNGKeyArray) -> tuple[PyTree, Metrics]:
            start_key, noise_key = jax.random.split(key)
            actor_critic, metrics = self.actor_critic.update(
                eqx.combine(arrays, static),
                world,
                starts.sample(start_key, buffer, self.batch),
                reward_scale,
                key=noise_key,
                entropy=entropy,
            )
            return eqx.filter(actor_critic, eqx.is_array), metrics

        keys = jax.random.split(phase.key(Purpose.IMPROVE), updates)
        arrays, metrics = jax.lax.scan(body, arrays, keys)
        skipped = jnp.sum(metrics.pop("skipped"))
        means = {name: jnp.mean(values) for name, values in metrics.items()}
        state = ImaginationState(eqx.combine(arrays, static), state.pool)
        return state, {**means, "skipped": skipped}

    def end_phase(
        self,
        state: ImaginationState,
        world: WorldModel | None,
        buffer: ReplayBuffer,
        phase: Phase,
    ) -> tuple[ImaginationState, Metrics]:
        """Select the acting policy by imagined return.

        The pool keeps the better of the current policy and the best one of its restart.
        During the first restart, or the first `newest_phases` of a run without restarts, it
        always keeps the current one: the first models are too inaccurate to compare policies.

        **Returns:** the state, and with a pool the metrics `imagined_return`, of the acting
        policy, and `newest_return`, of the current one.
        """
        if state.pool is None:
            return state, {}
        restart, within = self.place(phase.number - 1)
        pool, acting, newest = state.pool.updated(
            state.actor_critic.policy,
            restart,
            (within == 0) | ((restart == 0) & (within < self._newest_phases)),
            self._evaluator(self._explored(required(world), buffer), buffer, phase),
        )
        metrics = {"imagined_return": acting, "newest_return": newest}
        return ImaginationState(state.actor_critic, pool), metrics

    def place(self, phases: Int[Array, ""]) -> tuple[Int[Array, ""], Int[Array, ""]]:
        """Compute the index of the restart after a number of phases, and its age in phases.

        The last interval may be longer than the others: a run can have more training phases
        than planned, where episodes end early.
        """
        restart = jnp.minimum(phases // self.interval, self.restarts - 1)
        return restart, phases - restart * self.interval

    def entropy(self, number: Int[Array, ""]) -> Scalar:
        """Compute the entropy coefficient of a training phase; the first has number 1."""
        schedule = optax.cosine_decay_schedule(
            self.actor_critic.entropy, self.entropy_phases, self.entropy_end
        )
        return jnp.asarray(schedule(self.place(number - 1)[1]))

    def reward_scale(self, world: WorldModel, buffer: ReplayBuffer, phase: Phase) -> Scalar:
        """Compute the scale of rewards: the larger of two root mean squares.

        One is over the rewards in the buffer. The other is over the model's rewards of the
        zero action in uniform states of the sampling range: early experience may contain
        almost no reward, and a scale from it alone would make good states worth more than a
        critic can represent.
        """
        rewards = buffer.experience.reward
        observed = root_mean_square(rewards, buffer.filled & jnp.isfinite(rewards))
        if self.novelty is not None:  # the scale is that of novelty as long as it counts
            observed = jnp.where(rewards_are_equal(buffer), 0.0, observed)
        key = phase.key(Purpose.REWARD_SCALE)
        states = uniform_states(key, _SCALE_STATES, self.sampling_range)
        no_actions = jnp.zeros((_SCALE_STATES, self.actor_critic.action_size))
        next_states = jax.vmap(world.transition.step)(states, no_actions)
        anywhere = world.rewards(states, no_actions, next_states)
        return jnp.maximum(observed, root_mean_square(anywhere, jnp.isfinite(anywhere)))

    def _explored(self, world: WorldModel, buffer: ReplayBuffer) -> WorldModel:
        """Replace the reward by one for new states, if the agent explores by it."""
        if self.novelty is None:
            return world
        reward = NoveltyReward.of_buffer(world.reward, self.novelty, buffer)
        return WorldModel(world.transition, reward, world.termination, world.samples)

    def _evaluator(
        self, world: WorldModel, buffer: ReplayBuffer, phase: Phase
    ) -> Callable[[Policy], Scalar]:
        """Make a function that computes imagined returns, from the same starts each time."""
        coordinates = self.actor_critic.features.coordinates
        starts = scattered_first_states(
            phase.key(Purpose.SELECT), buffer, self.batch, coordinates, self.sampling_range
        )
        transition = world.transition
        if self.substeps is not None:
            transition = with_substeps(transition, self.substeps)
        # Without posterior samples, so that all policies act in the same dynamics.
        world = WorldModel(transition, world.reward, world.termination)

        def evaluate(policy: Policy) -> Scalar:
            found = imagined_return(policy, world, starts, _EVALUATED_ACTIONS)
            return jnp.where(jnp.isfinite(found), found, -jnp.inf)

        return evaluate


# Uniform states that the reward scale is computed from.
_SCALE_STATES = 256

_EVALUATED_ACTIONS = 250  # of the rollouts that compare policies
