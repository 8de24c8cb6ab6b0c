"""The agent that plans through its model and tracks its plans."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, DTypeLike, Float, Int, PRNGKeyArray, Scalar

from ..control import (
    ILQR,
    Plan,
    PlanStatus,
    best_equilibrium,
    random_actions,
    tracking_gains,
)
from ..data import ReplayBuffer
from ..learners import root_mean_square, step_scale
from ..mechanics import Limits, State
from ..simulate import WorldModel, rollout
from ._agent import AbstractAgent, AbstractAgentState, Metrics, Phase, Purpose, required
from ._networks import Features
from ._plan_policy import PlanLibrary, PlanPolicy
from ._planning_cost import PlanWeights

# Cost of an action at its limit, in standard deviations of the reward: without one, plans that
# are at the goal chatter.
_EFFORT = 3e-3
_HOLD = 8.0  # steps for which a random action is held, on average
_SEEN = 256  # states of experience near which an equilibrium is sought
_STARTS = 4  # states of experience, of which the hardest is planned from
_GUESSES = 64  # random sequences of actions, of which the best is improved


class PlanningState(AbstractAgentState):
    """State of a [`lagdyna.agents.PlanningAgent`][].

    **Attributes:**

    - `acting`: the acting policy, with its plans.
    - `count`: number of plans made so far.
    """

    acting: PlanPolicy
    count: Int[Array, ""]

    @property
    def policy(self) -> PlanPolicy:
        """Acting policy."""
        return self.acting


class PlanningAgent(AbstractAgent[PlanningState]):
    """Agent that plans through its model by iLQR and tracks its plans.

    Each phase designs a regulator at the equilibrium with the largest reward. Each update then
    makes one plan, in turn from a first state of an episode and from a state of the replay
    buffer: that of a few from which the policy gets least. The plan replaces the one from
    nearly the same start, or the oldest. Two guesses of its actions are improved, and the
    better plan is kept: what the acting policy does in the model, and the best of many random
    sequences. So old plans follow a new model, and new ones are still found.

    **Arguments:**

    - `planner`: its `iterations` are those of each guess.
    - `features`: which coordinates are angles.
    - `limits`: states beyond are penalised.
    - `plans`: number of plans in the library.
    - `horizon`: number of actions of a plan.
    - `noise`: standard deviation of the exploration noise.
    - `effort`: weight of an action of 1 beside a deviation from the plan as large as the
        limits.
    - `uncertainty`: penalty of the posterior's variance, in standard deviations of the reward;
        negative to seek it.

    **Raises:** `ValueError` if `plans` or `horizon` is not positive.
    """

    planner: ILQR
    features: Features
    limits: Limits = eqx.field(static=True)
    plans: int = eqx.field(static=True)
    horizon: int = eqx.field(static=True)
    noise: float = eqx.field(static=True)
    effort: float = eqx.field(static=True)
    uncertainty: float = eqx.field(static=True, default=0.0)

    def __check_init__(self):
        if min(self.plans, self.horizon) < 1:
            raise ValueError(
                f"`plans` was {self.plans} and `horizon` was {self.horizon}; positive numbers "
                "are accepted"
            )

    @property
    def uses_model(self) -> bool:
        """Always true."""
        return True

    def init(self, key: PRNGKeyArray) -> PlanningState:
        del key
        n, m = self.features.coordinates.n, self.planner.box.size
        library = PlanLibrary.empty(self.plans + 1, self.horizon, n, m)
        one = jnp.ones(())
        unit = State(*(jnp.broadcast_to(one, (n,)) for _ in range(2)))
        policy = PlanPolicy(self.features, library, self._weights(unit, one), self.noise)
        return PlanningState(policy, jnp.zeros((), int))

    def _weights(self, step: State, scale: Scalar) -> PlanWeights:
        # Angles have no limit.
        positions = tuple(
            0.0 if angle else x
            for angle, x in zip(self.features.coordinates.angles, self.limits[0], strict=True)
        )
        limits = (*positions, *self.limits[1])
        return PlanWeights(step, scale, limits, self.uncertainty, _EFFORT)

    def improve(
        self,
        state: PlanningState,
        world: WorldModel | None,
        buffer: ReplayBuffer,
        phase: Phase,
        updates: int,
    ) -> tuple[PlanningState, Metrics]:
        world = required(world)
        policy = eqx.tree_at(lambda p: p.weights, state.acting, self._measured(world, buffer))
        rest_key, *keys = jax.random.split(phase.key(Purpose.IMPROVE), updates + 1)
        policy, regulated = self._regulated(policy, world, buffer, rest_key)
        state = PlanningState(policy, state.count)

        def update(state: PlanningState, key: PRNGKeyArray) -> tuple[PlanningState, Metrics]:
            start_key, guess_key = jax.random.split(key)
            start = self._start(state, world, buffer, start_key)
            plan = self._plan(state.acting, world, start, guess_key)
            metrics = {
                "planned_return": -plan.cost,
                "converged": plan.status == PlanStatus.CONVERGED,
                "skipped": ~jnp.isfinite(plan.cost),
            }
            policy = self._replaced(state, world, plan)
            return PlanningState(policy, state.count + 1), metrics

        state, metrics = jax.lax.scan(update, state, jnp.stack(keys))
        means = {name: jnp.mean(each.astype(float)) for name, each in metrics.items()}
        finite = jnp.sum(~metrics["skipped"])
        returns = jnp.where(metrics["skipped"], 0, metrics["planned_return"])
        means["planned_return"] = jnp.sum(returns) / jnp.maximum(finite, 1)
        means["regulated"] = regulated.astype(float)
        return state, {**means, "skipped": jnp.sum(metrics["skipped"]).astype(float)}

    def _measured(self, world: WorldModel, buffer: ReplayBuffer) -> PlanWeights:
        """Weigh limits and uncertainty by how much rewards vary."""
        rewards, filled = buffer.experience.reward, buffer.filled
        mean = jnp.sum(jnp.where(filled, rewards, 0)) / jnp.maximum(jnp.sum(filled), 1)
        scale = root_mean_square(rewards - mean, filled)
        step = step_scale(buffer.experience, world.transition.coordinates, filled)
        return self._weights(step, scale)

    def _regulated(
        self, policy: PlanPolicy, world: WorldModel, buffer: ReplayBuffer, key: PRNGKeyArray
    ) -> tuple[PlanPolicy, Bool[Array, ""]]:
        """Design the regulator at the equilibrium with the largest reward."""
        library, n = policy.plans, self.features.coordinates.n
        seen = buffer.sample(key, _SEEN).state.q
        rest, found = best_equilibrium(
            world,
            jnp.concatenate([library.states.q.reshape(-1, n), seen]),
            actions=self.planner.box.size,
            step=policy.weights.step,
            scale=policy.weights.scale,
        )
        states = jax.tree.map(lambda x: jnp.broadcast_to(x, (self.horizon + 1, n)), rest.state)
        actions = jnp.broadcast_to(rest.action, (self.horizon, *rest.action.shape))
        gains, values = self._tracker(world, states, actions)
        zero = jnp.zeros((), int)
        # All steps have the gain of an infinite horizon.
        gains, values = (jnp.broadcast_to(x[0], x.shape) for x in (gains, values))
        before = jax.tree.map(lambda x: x[:-1], states)
        library = library.replaced(jnp.asarray(-1), zero, before, actions, gains, values)
        planned = library.planned.at[-1].min(found)
        library = eqx.tree_at(lambda x: x.planned, library, planned)
        library = library.linked(self.features.coordinates)
        return eqx.tree_at(lambda p: p.plans, policy, library), found

    def _start(
        self, state: PlanningState, world: WorldModel, buffer: ReplayBuffer, key: PRNGKeyArray
    ) -> State:
        """Choose a first state, or the state of some from which the policy gets least."""
        first_key, seen_key = jax.random.split(key)
        first, seen = buffer.sample_first(first_key, 1), buffer.sample(seen_key, _STARTS)
        costs = jax.vmap(lambda s: state.acting.predict(s, world, self.horizon)[2])(seen.state)
        hardest = jnp.argmax(jnp.where(jnp.isfinite(costs), costs, -jnp.inf))
        return jax.tree.map(
            lambda a, b: jnp.where(state.count % 2 == 0, a[0], b[hardest]),
            first.state,
            seen.state,
        )

    def _plan(
        self, policy: PlanPolicy, world: WorldModel, start: State, key: PRNGKeyArray
    ) -> Plan:
        """Improve both guesses and return the better plan."""
        transition, box, cost = world.transition, self.planner.box, policy.weights.cost(world)
        random = random_actions(key, _GUESSES, self.horizon, box, _HOLD, start.q.dtype)

        def cost_of(actions: Array) -> Scalar:
            return policy.weights.total(world, rollout(transition, start, actions), actions)

        costs = jax.vmap(cost_of)(random)
        random = random[jnp.argmin(jnp.where(jnp.isfinite(costs), costs, jnp.inf))]
        _, followed, _ = policy.predict(start, world, self.horizon)
        # One after another, by one program: on a CPU as fast as both at once.
        plans: Plan = jax.lax.map(
            lambda guess: self.planner.solve(transition, cost, start, guess),
            jnp.stack([followed, random]),
        )
        better = jnp.argmin(jnp.where(jnp.isfinite(plans.cost), plans.cost, jnp.inf))
        return jax.tree.map(lambda x: x[better], plans)

    def _replaced(self, state: PlanningState, world: WorldModel, plan: Plan) -> PlanPolicy:
        """Write a plan and its tracker over the oldest plan."""
        gains, values = self._tracker(world, plan.states, plan.actions)
        before = jax.tree.map(lambda x: x[:-1], plan.states)
        library, coordinates = state.acting.plans, self.features.coordinates
        start = jax.tree.map(lambda x: x[0], before)
        slot = library.slot(start, coordinates, self._unit(plan.actions.dtype))
        library = library.replaced(slot, state.count, before, plan.actions, gains, values)
        library = library.linked(coordinates)
        return eqx.tree_at(lambda p: p.plans, state.acting, library)

    def _tracker(
        self, world: WorldModel, states: State, actions: Float[Array, "time m"]
    ) -> tuple[Float[Array, "time m two_n"], Float[Array, "time two_n two_n"]]:
        """Design the time-varying LQR along a plan."""
        m = self.planner.box.size
        weights = jnp.diag(1 / self._unit(actions.dtype) ** 2)
        effort = self.effort * jnp.eye(m, dtype=actions.dtype)
        return tracking_gains(world.transition, states, actions, weights, effort, weights)

    def _unit(self, dtype: DTypeLike) -> Float[Array, " two_n"]:
        """Size of each entry of `(q, qd)`: its limit, or 1."""
        n = self.features.coordinates.n
        limits = jnp.concatenate([jnp.asarray(x, dtype)[:n] for x in self.limits])
        return jnp.where(limits > 0, limits, 1)
