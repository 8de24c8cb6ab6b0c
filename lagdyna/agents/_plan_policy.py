"""Policy that tracks the nearest of many plans."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Scalar

from ..mechanics import Coordinates, State
from ._networks import AbstractPolicy, Features


class PlanLibrary(eqx.Module):
    """Plans with their trackers, each from another start.

    **Arguments:**

    - `states`: planned states in which actions are taken, shapes `(plans, time, n)`.
    - `actions`: planned actions, shape `(plans, time, m)`.
    - `gains`: of the time-varying LQR along each plan, shape `(plans, time, m, 2 n)`.
    - `values`: its value matrices, shape `(plans, time, 2 n, 2 n)`.
    - `planned`: whether there is a plan, shape `(plans,)`.
    """

    states: State
    actions: Float[Array, "plans time m"]
    gains: Float[Array, "plans time m two_n"]
    values: Float[Array, "plans time two_n two_n"]
    planned: Bool[Array, " plans"]

    @classmethod
    def empty(cls, plans: int, time: int, n: int, m: int) -> "PlanLibrary":
        """Construct a library without plans."""
        return cls(
            State(*(jnp.zeros((plans, time, n)) for _ in range(2))),
            jnp.zeros((plans, time, m)),
            jnp.zeros((plans, time, m, 2 * n)),
            jnp.zeros((plans, time, 2 * n, 2 * n)),
            jnp.zeros(plans, bool),
        )


def used_steps(time: int) -> int:
    """Count the steps of a plan that the policy follows, three quarters."""
    return max(1, round(0.75 * time))


class PlanPolicy(AbstractPolicy):
    """Policy that tracks the nearest plan by time-varying LQR.

    A state belongs to the step of a plan whose tracker brings it back at the least cost, the
    value of the LQR there. The policy needs no memory, so a disturbed motion is continued from
    where it got to, by any plan (after Tedrake et al. 2010, "LQR-trees"). The last steps of a
    plan do not count, since no reward is planned after them.

    **Arguments:**

    - `features`: which coordinates are angles.
    - `plans`: the plans.
    - `noise`: standard deviation of the exploration noise.
    """

    features: Features
    plans: PlanLibrary
    noise: float = eqx.field(static=True)

    @property
    def _coordinates(self) -> Coordinates:
        return self.features.coordinates

    def mode(self, state: State) -> Float[Array, " m"]:
        """Compute the action of the nearest plan's tracker; zeros without a plan."""
        library = self.plans
        here = jnp.broadcast_to(state.q, library.states.q.shape)
        q = self._coordinates.difference(here, library.states.q)
        x = jnp.concatenate([q, state.qd - library.states.qd], axis=-1)
        cost = jnp.einsum("pti,ptij,ptj->pt", x, library.values, x)
        time = cost.shape[1]
        used = jnp.arange(time) < used_steps(time)
        counts = library.planned[:, None] & used & jnp.isfinite(cost)
        nearest = jnp.argmin(jnp.where(counts, cost, jnp.inf))
        plan, step = nearest // time, nearest % time
        action = library.actions[plan, step] - library.gains[plan, step] @ x[plan, step]
        return jnp.where(jnp.any(counts), jnp.clip(action, -1, 1), 0)

    def sample(
        self, state: State, eps: Float[Array, " m"]
    ) -> tuple[Float[Array, " m"], Scalar]:
        """Add Gaussian noise to the action, and clip it; the second value is 0."""
        action = jnp.clip(self.mode(state) + self.noise * eps, -1, 1)
        return action, jnp.zeros((), action.dtype)
