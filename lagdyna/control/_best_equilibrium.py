"""The equilibrium that a reward prefers, found inside a compiled program."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Scalar

from ..mechanics import State
from ..simulate import WorldModel
from ._equilibria import Equilibrium

_BEGUN = 8  # positions from which a search begins
# Penalty of a change in one step as large as usual, in `scale`, at first and at the end.
_PENALTIES, _ITERATIONS = (10.0, 1e4), 60
_DAMPING, _LESS, _MORE = 1e-2, 1 / 3, 5.0  # of the steps, and its change after each
_STILL = 1e-2  # change in one step that counts as none, in parts of the usual one


class _Point(NamedTuple):
    """A position at rest and an action, with what is needed for the next step."""

    z: Float[Array, " z"]
    change: Float[Array, " two_n"]
    slope: Float[Array, "two_n z"]
    reward: Float[Array, ""]
    gradient: Float[Array, " z"]
    hessian: Float[Array, "z z"]

    def loss(self, penalty: Float[Array, ""]) -> Scalar:
        """Compute what a search minimises."""
        loss = 0.5 * penalty * jnp.sum(self.change**2) - self.reward
        return jnp.where(jnp.isfinite(loss), loss, jnp.inf)


def best_equilibrium(
    world: WorldModel,
    q: Float[Array, "states n"],
    *,
    actions: int,
    step: State,
    scale: Float[Array, ""] | float = 1.0,
) -> tuple[Equilibrium, Bool[Array, ""]]:
    """Find the equilibrium of a world model with the largest reward, under `jit` too.

    The search begins at those of the given positions whose reward at rest is largest. Damped
    Newton steps climb the reward with a penalty for moving, which grows until the state rests.
    Second derivatives of the model are left out, as by Gauss and Newton.
    [`lagdyna.control.find_equilibrium`][] is more exact, for a goal that is known.

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

    def evaluate(z: Array) -> _Point:
        def both(z: Array) -> tuple[Array, Array]:
            return (moved := change(z)), moved

        slope, moved = jax.jacfwd(both, has_aux=True)(z)
        paid, gradient = jax.value_and_grad(reward)(z)
        return _Point(z, moved, slope, paid / scale, gradient / scale, hessian(z))

    def hessian(z: Array) -> Array:
        values, vectors = jnp.linalg.eigh(jax.hessian(reward)(z) / scale)
        return (vectors * jnp.minimum(values, 0)) @ vectors.T

    def iterate(
        carry: tuple[Array, _Point, Array], penalty: Array
    ) -> tuple[tuple[Array, _Point, Array], None]:
        trial, best, damping = carry
        new = evaluate(trial)
        # Each is weighed by the penalty of now.
        better = new.loss(penalty) <= best.loss(penalty)
        best = jax.tree.map(lambda x, y: jnp.where(better, x, y), new, best)
        damping = jnp.clip(damping * jnp.where(better, _LESS, _MORE), 1e-6, 1e6)
        curved = penalty * best.slope.T @ best.slope - best.hessian
        uphill = penalty * best.slope.T @ best.change - best.gradient
        step = jnp.linalg.solve(curved + damping * jnp.eye(n + actions), uphill)
        return (within(best.z - step), best, damping), None

    def begin(q: Array) -> Array:
        return jnp.concatenate([q, jnp.zeros(actions, q.dtype)])

    def search(q: Array) -> tuple[Array, Bool[Array, ""], Scalar]:
        z = begin(q)
        shapes = jax.eval_shape(evaluate, z)
        nothing = jax.tree.map(lambda x: jnp.full(x.shape, -jnp.inf, x.dtype), shapes)
        penalties = jnp.geomspace(*_PENALTIES, _ITERATIONS, dtype=z.dtype)
        start = (z, nothing, jnp.asarray(_DAMPING, z.dtype))
        (_, best, _), _ = jax.lax.scan(iterate, start, penalties)
        rests = jnp.max(jnp.abs(best.change)) < _STILL
        return best.z, rests & jnp.all(jnp.isfinite(best.z)), best.reward

    first = jax.lax.top_k(jax.vmap(lambda q: reward(begin(q)))(q), min(_BEGUN, len(q)))[1]
    z, rests, rewards = jax.vmap(search)(q[first])
    best = jnp.argmax(jnp.where(rests, rewards, -jnp.inf))
    state = resting(coordinates.wrap(z[best, :n]))
    return Equilibrium(state, z[best, n:]), rests[best]
