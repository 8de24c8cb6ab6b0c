"""Dyna: an off-policy agent that learns from what was and from what a model imagines."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Key, PRNGKeyArray, PyTree, Scalar

from ..data import Experience, ReplayBuffer
from ..mechanics import State
from ..models import AbstractReward, AbstractTermination, NoTermination
from ..simulate import AbstractTransition, SampledTransition
from ._doubts import doubts
from ._imagination import Limits, clipped
from ._networks import AbstractPolicy
from ._off_policy import AbstractOffPolicy, ActorCritic


class DynaBehaviour(eqx.Module):
    """What a Dyna agent has learned and imagined.

    **Attributes:**

    - `learned`: by the off-policy agent.
    - `imagined`: the transitions that the model made, `D_model`; `None` without a model.
    """

    learned: ActorCritic
    imagined: ReplayBuffer | None

    @property
    def policy(self) -> AbstractPolicy:
        """The actor."""
        return self.learned.policy


class Dyna(eqx.Module):
    """Real experience trains a model; the model's rollouts and the real data together train an
    off-policy actor-critic (Sutton 1990; Das et al. 2026, Algorithm 1).

    **Arguments:**

    - `learner`: the actor-critic, [`lagdyna.agents.TD3`][] or [`lagdyna.agents.SAC`][].
    - `batch`: transitions in an update.
    - `ratio`: the fraction of them that is imagined. With 0 the agent has no model.
    - `rollouts`, `length`: how many rollouts of how many steps are imagined at a time.
    - `capacity`: of `D_model`; when it is full the oldest transitions make room.
    - `limits`: the largest magnitudes of positions and velocities that are imagined, each of
        length `n`; an imagined state is clipped there.
    - `pessimism`: how many standard deviations of what a step is worth, its reward and the
        discounted value that follows, are taken off its reward, over the members of a
        [`lagdyna.simulate.SampledTransition`][].

    **Raises:** `ValueError` if `ratio` is not between 0 and 1, one of `batch`, `rollouts` and
    `length` is not positive, or `capacity` is less than what is imagined at a time.
    """

    learner: AbstractOffPolicy
    batch: int = eqx.field(static=True)
    ratio: float = eqx.field(static=True)
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
        if self.imagines and self.capacity < self.rollouts * self.length:
            raise ValueError(
                f"`capacity` was {self.capacity}, and {self.rollouts} rollouts of "
                f"{self.length} steps are imagined at a time"
            )

    @property
    def imagines(self) -> bool:
        """Whether it has a model."""
        return self.ratio > 0

    def init(self, key: PRNGKeyArray, n: int) -> DynaBehaviour:
        """Untrained policy and critics, nothing imagined, for `n` coordinates."""
        imagined = None
        if self.imagines:
            imagined = ReplayBuffer.empty(self.capacity, n, self.learner.action_size)
        return DynaBehaviour(self.learner.init(key), imagined)

    def imagine(
        self,
        behaviour: DynaBehaviour,
        transition: AbstractTransition | SampledTransition,
        reward: AbstractReward,
        starts: State,
        instead: Experience,
        *,
        key: PRNGKeyArray,
        termination: AbstractTermination = NoTermination(),
    ) -> DynaBehaviour:
        """Rollouts of the model under the present policy and its noise, added to `D_model`.

        A rollout that ends for good, or cannot be computed, goes on from where it began.

        **Arguments:**

        - `transition`, `reward`, `termination`: the model.
        - `starts`: where the rollouts begin, a `State` of shapes `(rollouts, n)`.
        - `instead`: real transitions, leading axis `rollouts`, that are stored in the place of
            what cannot be computed.

        **Raises:** `ValueError` if a [`lagdyna.simulate.SampledTransition`][] has members that
        do not divide `rollouts`, or `pessimism` is asked of any other transition.
        """
        assert behaviour.imagined is not None
        policy = behaviour.policy

        def worth(state: State, action: Array, following: State) -> Array:
            following = clipped(following, self.limits)
            going = 1 - jax.vmap(termination)(following)
            values = self.learner.values(behaviour.learned, following)
            paid = jax.vmap(reward)(state, action, following)
            return paid + self.learner.discount * going * values

        def step(state: State, eps: Array) -> tuple[State, Experience]:
            action, _ = jax.vmap(policy.sample)(state, eps)
            following = clipped(transition.steps(state, action), self.limits)
            paid = jax.vmap(reward)(state, action, following)
            if self.pessimism:
                paid = paid - self.pessimism * doubts(
                    transition, state, action, partial(worth, state, action)
                )
            over = jax.vmap(termination)(following) > 0.5
            made = Experience(state, action, paid, following, over)
            known = jnp.isfinite(paid) & _finite(following)
            made = _where(known, made, instead)
            following = _where(known & ~over, following, starts)
            return following, made

        shape = (self.length, self.rollouts, self.learner.action_size)
        eps = jax.random.normal(key, shape, instead.action.dtype)
        _, made = jax.lax.scan(step, starts, eps)
        made = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), made)
        imagined = behaviour.imagined.add(made, jnp.zeros((), int))
        return DynaBehaviour(behaviour.learned, imagined)

    def update(
        self, behaviour: DynaBehaviour, real: ReplayBuffer, *, key: PRNGKeyArray
    ) -> tuple[ActorCritic, dict[str, Scalar]]:
        """One update of the actor-critic from real and imagined transitions.

        **Returns:** what it has learned then, and metrics.
        """
        real_key, imagined_key, key = jax.random.split(key, 3)
        invented = round(self.ratio * self.batch)  # as in the config's own check
        batch = real.sample(real_key, self.batch - invented)
        if behaviour.imagined is not None and invented:
            more = behaviour.imagined.sample(imagined_key, invented)
            batch = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), batch, more)
        return self.learner.update(behaviour.learned, batch, key)

    def updates(
        self, behaviour: DynaBehaviour, real: ReplayBuffer, keys: Key[Array, " updates"]
    ) -> tuple[DynaBehaviour, dict[str, Scalar]]:
        """One update for each key, in one loop; the means of their metrics."""
        arrays, rest = eqx.partition(behaviour.learned, eqx.is_array)

        def body(arrays: PyTree, key: PRNGKeyArray) -> tuple[PyTree, dict[str, Scalar]]:
            learned = eqx.combine(arrays, rest)
            # The transitions are outside of the loop: nothing copies them.
            after, metrics = self.update(
                DynaBehaviour(learned, behaviour.imagined), real, key=key
            )
            return eqx.filter(after, eqx.is_array), metrics

        arrays, metrics = jax.lax.scan(body, arrays, keys)
        skipped = jnp.sum(metrics.pop("skipped"))
        means = {name: jnp.mean(values) for name, values in metrics.items()}
        behaviour = DynaBehaviour(eqx.combine(arrays, rest), behaviour.imagined)
        return behaviour, {**means, "skipped": skipped}


def _finite(state: State) -> Array:
    return jnp.all(jnp.isfinite(state.q) & jnp.isfinite(state.qd), axis=-1)


def _where(keep: Bool[Array, " batch"], yes: PyTree, no: PyTree) -> PyTree:
    """Rows of the one or the other."""
    return jax.tree.map(
        lambda a, b: jnp.where(keep.reshape(-1, *(1,) * (a.ndim - 1)), a, b), yes, no
    )
