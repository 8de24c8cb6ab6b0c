"""Cost of plans in a learned world model."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from ..control import AbstractCost, Quadratic, SoftLimits, linearise
from ..mechanics import Coordinates, State
from ..simulate import SampledTransition, WorldModel


class WorldCost(AbstractCost):
    """Cost of a plan in a world model, less the rewards.

    Rewards depend on the next state, which the model predicts; second derivatives of the
    prediction are left out, as by Gauss and Newton.

    With posterior samples, a step also costs the variance of their next states, in parts of
    the usual change of a state.

    **Arguments:**

    - `world`: the model.
    - `step`: usual change of a state in one step, shapes `(n,)`.
    - `uncertainty`: cost of a variance as large as a usual change; negative if uncertain
        states are sought.
    - `effort`: cost of an action at its limit.
    """

    world: WorldModel
    step: State
    uncertainty: Float[Array, ""]
    effort: Float[Array, ""]

    @property
    def _coordinates(self) -> Coordinates:
        return self.world.transition.coordinates

    def stage(self, state: State, action: Float[Array, " m"]) -> Scalar:
        return self.paid(state, action, self.world.transition.step(state, action))

    def paid(self, state: State, action: Float[Array, " m"], after: State) -> Scalar:
        """Compute the cost of a step whose next state is known."""
        cost = self.effort * action @ action - self.world.reward(state, action, after)
        if self.world.samples is None:
            return cost
        spread = self._spread(self.world.samples, state, action)
        return cost + self.uncertainty * jnp.sum(spread**2)

    def final(self, state: State) -> Scalar:
        return jnp.zeros((), state.q.dtype)

    def expand_stage(self, state: State, action: Float[Array, " m"]) -> Quadratic:
        n, m = state.q.shape[0], action.shape[0]
        after = self.world.transition.step(state, action)
        linear = linearise(self.world.transition, state, action)
        point = jnp.concatenate([*state, action, *after])

        def reward(y: Array) -> Scalar:
            before, u, then = y[: 2 * n], y[2 * n : 2 * n + m], y[2 * n + m :]
            return self.world.reward(_state(before), u, _state(then))

        # Rows: state, action and next state, as linear functions of state and action.
        whole = jnp.concatenate([jnp.eye(2 * n + m), jnp.concatenate(linear, axis=1)])
        slope = jax.grad(reward)
        gradient = -slope(point) @ whole
        hessian = -whole.T @ jax.jacfwd(slope)(point) @ whole
        gradient = gradient.at[2 * n :].add(2 * self.effort * action)
        hessian = hessian.at[2 * n :, 2 * n :].add(2 * self.effort * jnp.eye(m))
        if self.world.samples is not None:
            samples = self.world.samples

            def spread(z: Array) -> Array:
                return self._spread(samples, _state(z[: 2 * n]), z[2 * n :])

            z = point[: 2 * n + m]
            deviation, change = spread(z), jax.jacfwd(spread)(z)
            gradient += 2 * self.uncertainty * deviation @ change
            hessian += 2 * self.uncertainty * change.T @ change
        values, vectors = jnp.linalg.eigh(hessian)
        return Quadratic(gradient, (vectors * jnp.maximum(values, 0)) @ vectors.T)

    def expand_final(self, state: State) -> Quadratic:
        size = 2 * state.q.shape[0]
        return Quadratic(jnp.zeros(size, state.q.dtype), jnp.zeros((size, size), state.q.dtype))

    def _spread(
        self, samples: SampledTransition, state: State, action: Float[Array, " m"]
    ) -> Float[Array, " deviations"]:
        """Compute deviations of the samples' next states, whose squares sum to a variance."""
        one = jax.tree.map(lambda x: x[None], state)
        after = jax.tree.map(lambda x: x[:, 0], samples.all_steps(one, action[None]))
        middle = jax.tree.map(lambda x: jnp.broadcast_to(x[0], x.shape), after)
        dq = self._coordinates.difference(after.q, middle.q) / self.step.q
        dqd = (after.qd - middle.qd) / self.step.qd
        both = jnp.concatenate([dq, dqd], axis=1)
        deviations = both - jnp.mean(both, axis=0)
        return deviations.ravel() / jnp.sqrt(jnp.asarray(max(1, len(both) - 1), both.dtype))


def _state(x: Float[Array, " two_n"]) -> State:
    n = x.shape[0] // 2
    return State(x[:n], x[n:])


class PlanWeights(eqx.Module):
    """Units of the cost of plans, from experience.

    **Arguments:**

    - `step`: usual change of a state in one step, shapes `(n,)`.
    - `scale`: standard deviation of the rewards.
    - `limits`: largest magnitudes of `(q, qd)`, length `2 n`; 0 for none. An excess as large
        as the limit costs `scale`.
    - `uncertainty`: cost of a variance as large as a usual change, in `scale`.
    - `effort`: cost of an action at its limit, in `scale`.
    """

    step: State
    scale: Float[Array, ""]
    limits: tuple[float, ...] = eqx.field(static=True)
    uncertainty: float = eqx.field(static=True)
    effort: float = eqx.field(static=True)

    def cost(self, world: WorldModel) -> SoftLimits:
        """Construct the cost of a plan in a world model."""
        return SoftLimits.symmetric(self._within_limits(world), self.limits, self.scale)

    def _within_limits(self, world: WorldModel) -> WorldCost:
        uncertainty, effort = self.uncertainty * self.scale, self.effort * self.scale
        return WorldCost(world, self.step, uncertainty, effort)

    def total(
        self, world: WorldModel, states: State, actions: Float[Array, "time m"]
    ) -> Scalar:
        """Compute the cost of a simulated motion, without simulating it again.

        **Arguments:** `states`, of shapes `(time + 1, n)`.
        """
        before, after = (
            jax.tree.map(lambda x, part=part: x[part], states)
            for part in (slice(None, -1), slice(1, None))
        )
        paid = jax.vmap(self._within_limits(world).paid)(before, actions, after)
        excess = jax.vmap(self.cost(world).excess)(before)
        return jnp.sum(paid) + self.scale * jnp.sum(excess**2)
