"""Sources of the states that imagined rollouts start from."""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, Scalar

from ..data import ReplayBuffer
from ..mechanics import Coordinates, Limits, State
from ..simulate import WorldModel


class AbstractStarts(eqx.Module):
    """Distribution of the states that imagined rollouts start from.

    An agent calls `prepare` once per chunk of updates, for work that is too slow for every
    update, and `sample` of the result in every update.
    """

    def prepare(
        self, key: PRNGKeyArray, buffer: ReplayBuffer, world: WorldModel
    ) -> "AbstractStarts":
        """Compute what the next updates share. The default does nothing.

        **Arguments:**

        - `key`: for random draws.
        - `buffer`: the real experience.
        - `world`: the model as it is now.

        **Returns:** the starts to sample from.
        """
        del key, buffer, world
        return self

    @abc.abstractmethod
    def sample(self, key: PRNGKeyArray, buffer: ReplayBuffer, batch: int) -> State:
        """Draw states of shapes `(batch, n)`."""


class ReplayedStarts(AbstractStarts):
    """States of the replay buffer, drawn uniformly."""

    def sample(self, key: PRNGKeyArray, buffer: ReplayBuffer, batch: int) -> State:
        return buffer.sample(key, batch).state


class InitialStarts(AbstractStarts):
    """First states of the episodes in the replay buffer.

    Draws from the whole buffer if no first state is left in it.
    """

    def sample(self, key: PRNGKeyArray, buffer: ReplayBuffer, batch: int) -> State:
        return buffer.sample_first(key, batch).state


class UniformStarts(AbstractStarts):
    """States drawn uniformly from a box. A Lagrangian model is useful beyond its data.

    **Arguments:**

    - `limits`: the box.
    """

    limits: Limits = eqx.field(static=True)

    def sample(self, key: PRNGKeyArray, buffer: ReplayBuffer, batch: int) -> State:
        del buffer
        return uniform_states(key, batch, self.limits)


class PooledStarts(AbstractStarts):
    """States drawn uniformly from a fixed set.

    **Arguments:**

    - `states`: the set, a `State` of shapes `(any, n)`.
    """

    states: State

    def sample(self, key: PRNGKeyArray, buffer: ReplayBuffer, batch: int) -> State:
        del buffer
        indices = jax.random.randint(key, (batch,), 0, self.states.q.shape[0])
        return jax.tree.map(lambda x: x[indices], self.states)


class HighRewardStarts(AbstractStarts):
    """States near high rewards, found by [`lagdyna.agents.high_reward_states`][].

    `prepare` searches a pool of states by the model's reward of the zero action. States in
    which episodes end have a value of `-inf`.

    **Arguments:**

    - `limits`: the box that is searched.
    - `action_size`: `m`.
    - `size`: the number of states in the pool.
    """

    limits: Limits = eqx.field(static=True)
    action_size: int = eqx.field(static=True)
    size: int = eqx.field(static=True, default=256)

    def prepare(
        self, key: PRNGKeyArray, buffer: ReplayBuffer, world: WorldModel
    ) -> PooledStarts:
        del buffer
        no_action = jnp.zeros(self.action_size)

        def value(state: State) -> Scalar:
            ended = world.termination(state) > 0.5
            return jnp.where(ended, -jnp.inf, world.reward(state, no_action, state))

        return PooledStarts(high_reward_states(key, self.size, self.limits, value))

    def sample(self, key: PRNGKeyArray, buffer: ReplayBuffer, batch: int) -> State:
        """Not available: sample from the result of `prepare`."""
        raise ValueError("call `prepare` and sample from its result")


class MixedStarts(AbstractStarts):
    """Mixture of starts with fixed counts.

    The position of a part determines its random key. The usual order is
    [`lagdyna.agents.ReplayedStarts`][], [`lagdyna.agents.UniformStarts`][],
    [`lagdyna.agents.InitialStarts`][], then all others. Use a count of 0 to leave one out.

    **Arguments:**

    - `parts`: the starts of the mixture.
    - `counts`: the number of states of each part in a batch.

    **Raises:** `ValueError` if there is not one count for each part, one is negative, or all
    are 0.
    """

    parts: tuple[AbstractStarts, ...]
    counts: tuple[int, ...] = eqx.field(static=True)

    def __check_init__(self):
        if len(self.parts) != len(self.counts):
            raise ValueError(
                f"`counts` must have one entry for each of {len(self.parts)} parts, got "
                f"{self.counts}"
            )
        if any(count < 0 for count in self.counts) or self.batch < 1:
            raise ValueError(
                f"`counts` must not be negative, and at least one positive, got {self.counts}"
            )

    @property
    def batch(self) -> int:
        """Number of states in a batch, the sum of the counts."""
        return sum(self.counts)

    def prepare(
        self, key: PRNGKeyArray, buffer: ReplayBuffer, world: WorldModel
    ) -> "MixedStarts":
        """Prepare each part that has a positive count."""
        parts = tuple(
            part.prepare(_prepare_key(key, i), buffer, world) if count else part
            for i, (part, count) in enumerate(zip(self.parts, self.counts, strict=True))
        )
        return MixedStarts(parts, self.counts)

    def sample(
        self, key: PRNGKeyArray, buffer: ReplayBuffer, batch: int | None = None
    ) -> State:
        """Draw the states of each part, in the order of the parts.

        **Arguments:** `batch`, the sum of the counts, which is the default.

        **Raises:** `ValueError` for another `batch`.
        """
        if batch not in (None, self.batch):
            raise ValueError(
                f"`counts` {self.counts} are {self.batch} starts, and `batch` was {batch}"
            )
        drawn = [
            part.sample(part_key, buffer, count)
            for part, count, part_key in zip(
                self.parts, self.counts, self._keys(key), strict=True
            )
            if count
        ]
        return jax.tree.map(lambda *xs: jnp.concatenate(xs), *drawn)

    def _keys(self, key: PRNGKeyArray) -> list[PRNGKeyArray]:
        """Make the key of each part; parts with a count of 0 do not change the others'."""
        others = []
        for count in self.counts[_NAMED:]:
            part_key = key
            if count:
                key, part_key = jax.random.split(key)
            others.append(part_key)
        replay_key, uniform_key = jax.random.split(key)
        named = [replay_key, uniform_key, jax.random.fold_in(replay_key, 0)]
        return [*named[: len(self.parts)], *others]


def _prepare_key(key: PRNGKeyArray, index: int) -> PRNGKeyArray:
    # `fold_in(key, i)` equals `split(key, n)[i]`, so fold in a number that no split reaches.
    return key if index == _NAMED else jax.random.fold_in(key, _UNREACHED + index)


# Replayed, uniform and initial starts; other parts come after these.
_NAMED = 3
_UNREACHED = 2**31


def scattered_first_states(
    key: PRNGKeyArray,
    buffer: ReplayBuffer,
    batch: int,
    coordinates: Coordinates,
    limits: Limits,
) -> State:
    """Draw states near first states of episodes, where new episodes may begin.

    The draw is from a kernel density estimate: a random first state with normal noise. The
    standard deviation of the noise is that of the drawn first states, times Scott's factor
    `episodes ** (-1 / (2 n + 4))` (Scott 1992, "Multivariate Density Estimation"), plus 0.3 %
    of the sampling range. So few episodes that begin in very different states stand for
    many, and episodes that begin alike for themselves.

    **Arguments:**

    - `key`: random key.
    - `buffer`: the replay buffer.
    - `batch`: number of states.
    - `coordinates`: which coordinates are angles; their deviation is that of cosine and sine.
    - `limits`: sampling range, shapes `(n,)`.

    **Returns:** a `State` of shapes `(batch, n)`.
    """
    first_key, q_key, qd_key = jax.random.split(key, 3)
    q, qd = buffer.sample_first(first_key, batch).state
    episodes = jnp.maximum(jnp.sum(buffer.first), 1).astype(q.dtype)
    factor = episodes ** (-1 / (2 * coordinates.n + 4))

    def scattered(
        key: PRNGKeyArray, x: Array, deviation: Array, limit: tuple[float, ...]
    ) -> Array:
        scale = factor * deviation + _LEAST_SCATTER * jnp.asarray(limit, x.dtype)
        return x + scale * jax.random.normal(key, x.shape, x.dtype)

    turned = jnp.hypot(jnp.std(jnp.cos(q), axis=0), jnp.std(jnp.sin(q), axis=0))
    deviation = jnp.where(jnp.asarray(coordinates.angles), turned, jnp.std(q, axis=0))
    return State(
        scattered(q_key, q, deviation, limits.positions),
        scattered(qd_key, qd, jnp.std(qd, axis=0), limits.velocities),
    )


_LEAST_SCATTER = 0.003  # as a fraction of the sampling range


def uniform_states(key: PRNGKeyArray, batch: int, limits: Limits) -> State:
    """Draw states uniformly from a box around the origin.

    **Arguments:**

    - `key`: for the draws.
    - `batch`: the number of states.
    - `limits`: the box. For an angle, a limit of `pi` is the whole circle.

    **Returns:** a `State` of shapes `(batch, n)`.
    """
    n = len(limits.positions)
    unit = jax.random.uniform(key, (2, batch, n), minval=-1.0, maxval=1.0)
    sides = jnp.asarray([limits.positions, limits.velocities], unit.dtype)
    q, qd = unit * sides[:, None]
    return State(q, qd)


def high_reward_states(
    key: PRNGKeyArray,
    batch: int,
    limits: Limits,
    value: Callable[[State], Scalar],
    *,
    choices: int = 32,
    rounds: int = 10,
) -> State:
    """Search for states near a maximum of a function, at many distances from it.

    Uniform draws hardly ever have all coordinates right at once. So each state is the result
    of a random search. A round draws states from a box around the best one so far, and keeps
    the best of all; each box is smaller than the one before. The number of rounds is random,
    so that the states lie at all distances. At the end the velocity is multiplied by a random
    factor from 0 to 1, since rewards often do not depend on it.

    Learning outwards from such states follows Florensa et al. (2017, "Reverse curriculum
    generation for reinforcement learning"), who start from a given goal; the search is this
    library's own.

    **Arguments:**

    - `key`: for the draws.
    - `batch`: the number of states.
    - `limits`: the box that is searched.
    - `value`: the function, of a state of shapes `(n,)`. NaN counts as `-inf`.
    - `choices`: the draws of a round.
    - `rounds`: the largest number of rounds. Each box has 0.7 times the sides of the last.

    **Returns:** a `State` of shapes `(batch, n)`.
    """
    sides = State(jnp.asarray(limits.positions, float), jnp.asarray(limits.velocities, float))

    def one(key: PRNGKeyArray) -> State:
        count_key, key = jax.random.split(key)
        count = jax.random.randint(count_key, (), 1, rounds + 1)

        def body(best: State, step: tuple[PRNGKeyArray, Array]) -> tuple[State, None]:
            key, number = step
            drawn = uniform_states(key, choices, limits)

            def around(best: Array, unit: Array, limit: Array) -> Array:
                centre = jnp.where(number > 0, best, 0)  # the first box is the whole one
                near = jnp.clip(centre + _SHRINK**number * unit, -limit, limit)
                return jnp.concatenate([best[None], near])

            candidates = jax.tree.map(around, best, drawn, sides)
            values = jax.vmap(value)(candidates)
            first = jnp.argmax(jnp.where(jnp.isnan(values), -jnp.inf, values))
            return jax.tree.map(
                lambda old, new: jnp.where(number < count, new[first], old), best, candidates
            ), None

        begin_key, key = jax.random.split(key)
        begin = jax.tree.map(lambda x: x[0], uniform_states(begin_key, 1, limits))
        slow_key, key = jax.random.split(key)
        steps = (jax.random.split(key, rounds), jnp.arange(rounds))
        q, qd = jax.lax.scan(body, begin, steps)[0]
        return State(q, jax.random.uniform(slow_key, (), qd.dtype) * qd)

    return jax.vmap(one)(jax.random.split(key, batch))


_SHRINK = 0.7
