"""Policy that follows plans, chosen by simulation."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Scalar

from ..mechanics import Coordinates, State
from ..simulate import WorldModel
from ._networks import AbstractPolicy, Features
from ._planning_cost import PlanWeights

_SAME = 0.05  # distance between starts that count as one


class PlanLibrary(eqx.Module):
    """Plans with their trackers, each from another start; the last one is a regulator.

    **Arguments:**

    - `states`: planned states in which actions are taken, shapes `(plans, time, n)`.
    - `actions`: planned actions, shape `(plans, time, m)`.
    - `gains`: of the time-varying LQR along each plan, shape `(plans, time, m, 2 n)`.
    - `values`: its value matrices, shape `(plans, time, 2 n, 2 n)`.
    - `planned`: whether there is a plan, shape `(plans,)`.
    - `made`: when each plan was made, shape `(plans,)`.
    - `following`: where each plan continues at its end, a plan and a step, shape `(plans, 2)`.
    """

    states: State
    actions: Float[Array, "plans time m"]
    gains: Float[Array, "plans time m two_n"]
    values: Float[Array, "plans time two_n two_n"]
    planned: Bool[Array, " plans"]
    made: Int[Array, " plans"]
    following: Int[Array, "plans 2"]

    @classmethod
    def empty(cls, plans: int, time: int, n: int, m: int) -> "PlanLibrary":
        """Construct a library without plans."""
        return cls(
            State(*(jnp.zeros((plans, time, n)) for _ in range(2))),
            jnp.zeros((plans, time, m)),
            jnp.zeros((plans, time, m, 2 * n)),
            jnp.zeros((plans, time, 2 * n, 2 * n)),
            jnp.zeros(plans, bool),
            jnp.zeros(plans, int),
            jnp.zeros((plans, 2), int),
        )

    def replaced(
        self,
        plan: Int[Array, ""],
        made: Int[Array, ""],
        states: State,
        actions: Float[Array, "time m"],
        gains: Float[Array, "time m two_n"],
        values: Float[Array, "time two_n two_n"],
    ) -> "PlanLibrary":
        """Write a plan over another, unless it is not finite."""
        new = (states, actions, gains, values)
        finite = jnp.asarray(True)
        for x in jax.tree.leaves(new):
            finite &= jnp.all(jnp.isfinite(x))
        kept = (self.states, self.actions, self.gains, self.values)
        states, actions, gains, values = jax.tree.map(
            lambda old, x: old.at[plan].set(jnp.where(finite, x, old[plan])), kept, new
        )
        planned = self.planned.at[plan].set(finite | self.planned[plan])
        when = self.made.at[plan].set(jnp.where(finite, made, self.made[plan]))
        return PlanLibrary(states, actions, gains, values, planned, when, self.following)

    def slot(
        self, start: State, coordinates: Coordinates, unit: Float[Array, " two_n"]
    ) -> Int[Array, ""]:
        """Find the plan to write over: one from nearly the same start, or the oldest.

        **Arguments:** `unit`, the size of `(q, qd)`. Starts within a twentieth of it in each
        entry are nearly the same.
        """
        first = jax.tree.map(lambda x: x[:-1, 0], self.states)
        here = jnp.broadcast_to(start.q, first.q.shape)
        x = jnp.concatenate(
            [coordinates.difference(here, first.q), start.qd - first.qd], axis=1
        )
        distance = jnp.max(jnp.abs(x / unit), axis=1)
        planned = self.planned[:-1]
        distance = jnp.where(planned, distance, jnp.inf)
        oldest = jnp.argmin(jnp.where(planned, self.made[:-1], -1))
        nearest = jnp.argmin(distance)
        return jnp.where(distance[nearest] < _SAME, nearest, oldest)

    def linked(self, coordinates: Coordinates) -> "PlanLibrary":
        """Continue each plan, at its end, where its last state is nearest to a plan."""

        def nearest(state: State) -> Int[Array, " 2"]:
            costs, _ = self.distances(state, coordinates)
            return jnp.stack(jnp.unravel_index(jnp.argmin(costs), costs.shape))

        last = used_steps(self.actions.shape[1])
        ends = jax.tree.map(lambda x: x[:, min(last, x.shape[1] - 1)], self.states)
        following = jax.vmap(nearest)(ends).astype(int)
        # The regulator goes on for ever.
        return eqx.tree_at(
            lambda x: x.following,
            self,
            following.at[-1].set(jnp.asarray([len(self.planned) - 1, 0])),
        )

    def distances(
        self, state: State, coordinates: Coordinates
    ) -> tuple[Float[Array, "plans time"], Float[Array, "plans time two_n"]]:
        """Compute what it costs to come to each step of each plan, and the deviations.

        The cost is the value of the tracker; infinite for steps that do not count.
        """
        here = jnp.broadcast_to(state.q, self.states.q.shape)
        q = coordinates.difference(here, self.states.q)
        x = jnp.concatenate([q, state.qd - self.states.qd], axis=-1)
        costs = jnp.einsum("pti,ptij,ptj->pt", x, self.values, x)
        time = costs.shape[1]
        counts = self.planned[:, None] & (jnp.arange(time) < used_steps(time))
        return jnp.where(counts & jnp.isfinite(costs), costs, jnp.inf), x


def used_steps(time: int) -> int:
    """Count the steps of a plan that the policy follows, three quarters."""
    return max(1, round(0.75 * time))


class PlanPolicy(AbstractPolicy):
    """Policy that follows the plan which promises most, by time-varying LQR.

    A state belongs to the step of each plan whose tracker brings it back at the least cost,
    the value of the LQR there. Each plan and the regulator are simulated from the state, with
    their trackers and the plans that continue them. The action is that of the best
    simulation. The policy needs no memory, so a disturbed motion is continued from where it
    got to, by any plan (after Tedrake et al. 2010, "LQR-trees"). The last steps of a plan do
    not count, since no reward is planned after them.

    **Arguments:**

    - `features`: which coordinates are angles.
    - `plans`: the plans.
    - `weights`: of the simulated cost.
    - `noise`: standard deviation of the exploration noise.
    - `world`: the model of simulations. Without one, the nearest plan is followed.
    """

    features: Features
    plans: PlanLibrary
    weights: PlanWeights
    noise: float = eqx.field(static=True)
    world: WorldModel | None = None

    def with_model(self, world: WorldModel | None) -> "PlanPolicy":
        return PlanPolicy(self.features, self.plans, self.weights, self.noise, world)

    def mode(self, state: State) -> Float[Array, " m"]:
        """Compute the action of the best plan's tracker; zeros without a plan."""
        if self.world is None:
            costs, _ = self.plans.distances(state, self.features.coordinates)
            plan, step = jnp.unravel_index(jnp.argmin(costs), costs.shape)
            return self._action(state, plan, step)
        # To choose, half the way is enough, and on learned models the time of an action.
        steps = -(-self.plans.actions.shape[1] // 2)
        return self.predict(state, self.world, steps)[1][0]

    def predict(
        self, state: State, world: WorldModel, steps: int
    ) -> tuple[State, Float[Array, "steps m"], Scalar]:
        """Simulate all plans from a state for some steps, and return the best simulation.

        **Returns:** states, shapes `(steps + 1, n)`, actions, shape `(steps, m)`, and the cost.
        """
        costs, _ = self.plans.distances(state, self.features.coordinates)

        def simulate(plan: Array, first: Array) -> tuple[State, Array, Scalar]:
            states, actions = self._simulate(state, plan, first, world, steps)
            return states, actions, self.weights.total(world, states, actions)

        plans = jnp.arange(len(costs))
        states, actions, totals = jax.vmap(simulate)(plans, jnp.argmin(costs, axis=1))
        allowed = self.plans.planned & jnp.isfinite(totals)
        best = jnp.argmin(jnp.where(allowed, totals, jnp.inf))
        return jax.tree.map(lambda x: x[best], (states, actions, totals))

    def _simulate(
        self,
        start: State,
        plan: Int[Array, ""],
        step: Int[Array, ""],
        world: WorldModel,
        length: int,
    ) -> tuple[State, Float[Array, "time m"]]:
        """Track a plan from one of its steps on, and those that continue it."""
        end = used_steps(self.plans.actions.shape[1])

        def body(
            carry: tuple[State, Array, Array], _: None
        ) -> tuple[tuple[State, Array, Array], tuple[State, Array]]:
            now, plan, step = carry
            plan, step = jnp.where(
                step < end, jnp.stack([plan, step]), self.plans.following[plan]
            )
            action = self._action(now, plan, step)
            after = world.transition.step(now, action)
            return (after, plan, step + 1), (after, action)

        carry = (start, plan.astype(int), step.astype(int))
        _, (after, actions) = jax.lax.scan(body, carry, length=length)
        states = jax.tree.map(lambda x, now: jnp.concatenate([now[None], x]), after, start)
        return states, actions

    def _action(
        self, state: State, plan: Int[Array, ""], step: Int[Array, ""]
    ) -> Float[Array, " m"]:
        """Compute the action of one step's tracker."""
        planned = jax.tree.map(lambda x: x[plan, step], self.plans.states)
        q = self.features.coordinates.difference(state.q, planned.q)
        x = jnp.concatenate([q, state.qd - planned.qd])
        action = self.plans.actions[plan, step] - self.plans.gains[plan, step] @ x
        finite = self.plans.planned[plan] & jnp.all(jnp.isfinite(action))
        return jnp.where(finite, jnp.clip(action, -1, 1), 0)

    def sample(
        self, state: State, eps: Float[Array, " m"]
    ) -> tuple[Float[Array, " m"], Scalar]:
        """Add Gaussian noise to the action, and clip it; the second value is 0."""
        action = jnp.clip(self.mode(state) + self.noise * eps, -1, 1)
        return action, jnp.zeros((), action.dtype)
