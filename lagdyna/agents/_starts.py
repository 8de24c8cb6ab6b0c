from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, Scalar

from ..data import ReplayBuffer
from ..mechanics import State
from ..simulate import AbstractTransition
from ._imagination import within


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


def pushed_states(
    key: PRNGKeyArray,
    starts: State,
    transition: AbstractTransition,
    action_size: int,
    limits: tuple[tuple[float, ...], tuple[float, ...]],
    *,
    actions: int = 60,
    hold: float = 8.0,
) -> State:
    """States that random actions lead to from given ones, in the model.

    What an agent learns first where episodes begin is what pays soon, and from then on its
    rollouts pass through the states that follow from that. Where pushes lead is within reach
    of the beginning too, and an agent that has learned to go on from there may find a better
    way. Exploring starts are an old idea (Sutton & Barto 2018, section 5.3); that these are
    pushed there is this library's own.

    **Arguments:**

    - `key`: for the draws.
    - `starts`: of shapes `(batch, n)`.
    - `transition`: the model; `action_size`, how many numbers an action of it has.
    - `limits`: of positions and velocities, each of length `n`. Who would pass them, or come
        to what is no number, stays where it is.
    - `actions`: each state follows after a number of actions that is drawn below that.
    - `hold`: for how many of them an action is held on average. Its numbers are drawn
        uniformly from `[-1.5, 1.5]` and clipped to `[-1, 1]`, so that a third are at an end.

    **Returns:** a `State` of shapes `(batch, n)`.
    """

    def one(key: PRNGKeyArray, state: State) -> State:
        number_key, push_key, change_key = jax.random.split(key, 3)
        number = jax.random.randint(number_key, (), 0, actions)
        shape = (actions, action_size)
        pushes = jnp.clip(jax.random.uniform(push_key, shape, minval=-1.5, maxval=1.5), -1, 1)
        changes = jax.random.bernoulli(change_key, 1 / hold, (actions,))

        def body(
            carry: tuple[State, Array], step: tuple[Array, Array, Array]
        ) -> tuple[tuple[State, Array], None]:
            (state, action), (push, change, i) = carry, step
            action = jnp.where(change | (i == 0), push, action)
            following = transition.step(state, action)
            goes_on = (i < number) & within(following, limits)
            state = jax.tree.map(lambda a, b: jnp.where(goes_on, a, b), following, state)
            return (state, action), None

        steps = (pushes, changes, jnp.arange(actions))
        return jax.lax.scan(body, (state, pushes[0]), steps)[0][0]

    return jax.vmap(one)(jax.random.split(key, starts.q.shape[0]), starts)


def mixed_starts(
    key: PRNGKeyArray,
    buffer: ReplayBuffer,
    batch: int,
    uniform: int,
    positions: tuple[float, ...],
    velocities: tuple[float, ...],
    *,
    initial: int = 0,
    others: Sequence[tuple[State, int]] = (),
) -> State:
    """Where imagined rollouts begin: replayed states, and states that were never visited.

    A Lagrangian model can be trusted beyond its data. Starts from there are what shows
    the agent the states that it has not reached yet. And since episodes begin where they do,
    what is done from there is worth more rollouts than a buffer has of it, which fills
    with states that a good policy has come to and holds.

    **Arguments:**

    - `key`: for what is drawn.
    - `buffer`: where replayed states come from.
    - `batch`: how many starts in all.
    - `uniform`: how many of them come from [`lagdyna.agents.uniform_states`][].
    - `positions`, `velocities`: the largest magnitudes of those, each of length `n`.
    - `initial`: how many replayed states are first ones of an episode, as far as the buffer
        has any.
    - `others`: more states, of any number, and how many starts come from those, say from
        [`lagdyna.agents.promising_states`][] and [`lagdyna.agents.pushed_states`][].

    **Returns:** a `State` of shapes `(batch, n)`, replayed ones first, those of `others` last.

    **Raises:** `ValueError` if more than `batch` are asked for.
    """
    given = sum(number for _, number in others)
    replayed = batch - uniform - initial - given
    if replayed < 0:
        raise ValueError(
            f"{uniform} uniform, {initial} initial and {given} other starts were asked for in "
            f"a batch of {batch}; as many in all are accepted"
        )
    parts = []
    for states, number in others:
        key, place_key = jax.random.split(key)
        places = jax.random.randint(place_key, (number,), 0, states.q.shape[0])
        parts.append(jax.tree.map(lambda x, places=places: x[places], states))
    replay_key, uniform_key = jax.random.split(key)
    if initial:
        begins = buffer.sample_first(jax.random.fold_in(replay_key, 0), initial)
        parts = [begins.state, *parts]
    again = buffer.sample(replay_key, replayed).state
    drawn = uniform_states(uniform_key, uniform, positions, velocities)
    return jax.tree.map(lambda *xs: jnp.concatenate(xs), again, drawn, *parts)
