import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

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


def mixed_starts(
    key: PRNGKeyArray,
    buffer: ReplayBuffer,
    batch: int,
    uniform: int,
    positions: tuple[float, ...],
    velocities: tuple[float, ...],
) -> State:
    """Where imagined rollouts begin: replayed states, and states that were never visited.

    A Lagrangian model can be trusted beyond its data. Starts from there are what shows
    the agent the states that it has not reached yet.

    **Arguments:**

    - `buffer`: where replayed states come from.
    - `batch`: how many starts in all.
    - `uniform`: how many of them come from [`lagdyna.agents.uniform_states`][].

    **Returns:** a `State` of shapes `(batch, n)`.
    """
    replay_key, uniform_key = jax.random.split(key)
    replayed = buffer.sample(replay_key, batch - uniform).state
    drawn = uniform_states(uniform_key, uniform, positions, velocities)
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b]), replayed, drawn)
