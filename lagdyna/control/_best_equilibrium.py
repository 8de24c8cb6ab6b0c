"""The equilibrium that a reward prefers, found inside a compiled program."""

import jax
import jax.numpy as jnp
import jax.scipy.optimize
from jaxtyping import Array, Bool, Float, Scalar

from ..mechanics import State
from ..simulate import WorldModel
from ._equilibria import Equilibrium

_BEGUN = 8  # positions from which a search begins
_PENALTY = 10.0  # of a change in one step as large as usual, in deviations of the reward
_CLIMBS, _PROJECTIONS = 40, 10
_STILL = 1e-2  # change in one step that counts as none, in parts of the usual one


def best_equilibrium(
    world: WorldModel,
    q: Float[Array, "states n"],
    *,
    actions: int,
    step: State,
    scale: Float[Array, ""] | float = 1.0,
) -> tuple[Equilibrium, Bool[Array, ""]]:
    """Find the equilibrium of a world model with the largest reward, under `jit` too.

    The search begins at those of the given positions whose reward at rest is largest. BFGS
    climbs the reward with a penalty for moving, and Gauss-Newton steps lead to the nearest
    equilibrium. [`lagdyna.control.find_equilibrium`][] is more exact, for a goal that is known.

    **Arguments:**

    - `world`: the model.
    - `q`: positions to begin from, such as those that were seen.
    - `actions`: number of actions `m`, each in [-1, 1].
    - `step`: usual change of a state in one step, shapes `(n,)`. A change of less than a
        hundredth counts as rest.
    - `scale`: usual size of a difference in reward.

    **Returns:** the equilibrium, and whether it is one: if no search came to rest, it is not.
    """
    n = q.shape[1]
    coordinates = world.transition.coordinates

    def resting(q: Array) -> State:
        return State(q, jnp.zeros_like(q))

    def reward(z: Array) -> Scalar:
        state = resting(z[:n])
        return world.reward(state, z[n:], state)

    def change(z: Array) -> Array:
        after = world.transition.step(resting(z[:n]), z[n:])
        dq = coordinates.difference(after.q, z[:n])
        return jnp.concatenate([dq / step.q, after.qd / step.qd])

    def within(z: Array) -> Array:
        return z.at[n:].set(jnp.clip(z[n:], -1, 1))

    def loss(z: Array) -> Scalar:
        return 0.5 * _PENALTY * jnp.sum(change(z) ** 2) - reward(z) / scale

    def approach(z: Array, _: None) -> tuple[Array, None]:
        towards = jnp.linalg.pinv(jax.jacfwd(change)(z), rtol=1e-4) @ change(z)
        return within(z - towards), None

    def begin(q: Array) -> Array:
        return jnp.concatenate([q, jnp.zeros(actions, q.dtype)])

    def search(q: Array) -> tuple[Array, Bool[Array, ""], Scalar]:
        # That of optimistix does not run in programs that are sharded over seeds.
        z = jax.scipy.optimize.minimize(
            loss, begin(q), method="BFGS", options={"maxiter": _CLIMBS}
        ).x
        z, _ = jax.lax.scan(approach, within(z), length=_PROJECTIONS)
        rests = jnp.max(jnp.abs(change(z))) < _STILL
        return z, rests & jnp.all(jnp.isfinite(z)), reward(z)

    first = jax.lax.top_k(jax.vmap(lambda q: reward(begin(q)))(q), min(_BEGUN, len(q)))[1]
    z, rests, rewards = jax.vmap(search)(q[first])
    best = jnp.argmax(jnp.where(rests, rewards, -jnp.inf))
    state = resting(coordinates.wrap(z[best, :n]))
    return Equilibrium(state, z[best, n:]), rests[best]
