from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, Scalar

from ..data import ReplayBuffer
from ..mechanics import State


def uniform_states(
    key: PRNGKeyArray,
    batch: int,
    positions: tuple[float, ...],
    velocities: tuple[float, ...],
) -> State:
    """States drawn uniformly from a box around the origin.

    **Arguments:**

    - `key`: for the draws.
    - `batch`: how many.
    - `positions`, `velocities`: the largest magnitude of each, length `n`. For an angle
        `pi` is the whole circle.

    **Returns:** a `State` of shapes `(batch, n)`.
    """
    n = len(positions)
    unit = jax.random.uniform(key, (2, batch, n), minval=-1.0, maxval=1.0)
    reach = jnp.asarray([positions, velocities], unit.dtype)
    q, qd = unit * reach[:, None]
    return State(q, qd)


def promising_states(
    key: PRNGKeyArray,
    batch: int,
    positions: tuple[float, ...],
    velocities: tuple[float, ...],
    worth: Callable[[State], Scalar],
    *,
    choices: int = 32,
    rounds: int = 10,
) -> State:
    """States around where it is best to be, from anywhere in a box to very near.

    What all coordinates must be right for at once is hardly ever drawn uniformly. So each state
    is searched for: the best of some that are drawn in the box, then the best of it and as many
    from a box around it that is smaller, for a number of rounds that is drawn too, so that
    the states are at all distances. Then it is slowed by a random factor, since what is paid
    often says little about how fast one should be.

    Learning from such states outwards is what Florensa et al. (2017, "Reverse curriculum
    generation for reinforcement learning") do from a goal that they are given; the search is
    this library's own.

    **Arguments:**

    - `key`, `positions`, `velocities`: as for [`lagdyna.agents.uniform_states`][].
    - `batch`: how many.
    - `worth`: what a state is worth; one of which that is no number is none to choose.
    - `choices`: how many are drawn in a round.
    - `rounds`: the most. The box of each has 0.7 times the sides of the one before.

    **Returns:** a `State` of shapes `(batch, n)`.
    """
    limits = State(jnp.asarray(positions, float), jnp.asarray(velocities, float))

    def one(key: PRNGKeyArray) -> State:
        count_key, key = jax.random.split(key)
        count = jax.random.randint(count_key, (), 1, rounds + 1)

        def body(best: State, step: tuple[PRNGKeyArray, Array]) -> tuple[State, None]:
            key, number = step
            drawn = uniform_states(key, choices, positions, velocities)

            def around(best: Array, unit: Array, limit: Array) -> Array:
                centre = jnp.where(number > 0, best, 0)  # the first box is all there is
                near = jnp.clip(centre + _SHRINK**number * unit, -limit, limit)
                return jnp.concatenate([best[None], near])

            tried = jax.tree.map(around, best, drawn, limits)
            worths = jax.vmap(worth)(tried)
            first = jnp.argmax(jnp.where(jnp.isnan(worths), -jnp.inf, worths))
            return jax.tree.map(
                lambda old, new: jnp.where(number < count, new[first], old), best, tried
            ), None

        begin_key, key = jax.random.split(key)
        begin = jax.tree.map(
            lambda x: x[0], uniform_states(begin_key, 1, positions, velocities)
        )
        slow_key, key = jax.random.split(key)
        steps = (jax.random.split(key, rounds), jnp.arange(rounds))
        q, qd = jax.lax.scan(body, begin, steps)[0]
        return State(q, jax.random.uniform(slow_key, (), qd.dtype) * qd)

    return jax.vmap(one)(jax.random.split(key, batch))


_SHRINK = 0.7


def mixed_starts(
    key: PRNGKeyArray,
    buffer: ReplayBuffer,
    batch: int,
    uniform: int,
    positions: tuple[float, ...],
    velocities: tuple[float, ...],
    promising: State | None = None,
    chosen: int = 0,
    initial: int = 0,
) -> State:
    """Where imagined rollouts begin: replayed states, and states that were never visited.

    A Lagrangian model can be trusted beyond its data. Starts from there are what shows
    the agent the states that it has not reached yet. And since episodes begin where they do,
    what is done from there is worth more rollouts than a buffer has of it, which fills
    with states that a good policy has come to and holds.

    **Arguments:**

    - `buffer`: where replayed states come from.
    - `batch`: how many starts in all.
    - `uniform`: how many of them come from [`lagdyna.agents.uniform_states`][].
    - `promising`: more states, of any number, say from
        [`lagdyna.agents.promising_states`][].
    - `chosen`: how many starts come from those, the last ones; without them none can.
    - `initial`: how many replayed states are first ones of an episode, as far as the buffer
        has any.

    **Returns:** a `State` of shapes `(batch, n)`.

    **Raises:** `ValueError` if `uniform`, `chosen` and `initial` are more than `batch`, or
    there is nothing to choose from.
    """
    replayed = batch - uniform - chosen - initial
    if replayed < 0 or (chosen and promising is None):
        raise ValueError(
            f"{uniform} uniform, {chosen} chosen and {initial} initial starts were asked for "
            f"in a batch of {batch}; as many in all are accepted, chosen ones where "
            "`promising` is given"
        )
    parts = []
    if promising is not None and chosen:
        key, chosen_key = jax.random.split(key)
        places = jax.random.randint(chosen_key, (chosen,), 0, promising.q.shape[0])
        parts = [jax.tree.map(lambda x: x[places], promising)]
    replay_key, uniform_key = jax.random.split(key)
    if initial:
        begins = buffer.sample_first(jax.random.fold_in(replay_key, 0), initial)
        parts = [begins.state, *parts]
    again = buffer.sample(replay_key, replayed).state
    drawn = uniform_states(uniform_key, uniform, positions, velocities)
    return jax.tree.map(lambda *xs: jnp.concatenate(xs), again, drawn, *parts)
