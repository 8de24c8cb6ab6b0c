"""The agent that plans through its model and tracks its plans."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, Scalar

from ..control import (
    ILQR,
    AbstractCost,
    Plan,
    PlanStatus,
    SoftLimits,
    random_actions,
    tracking_gains,
)
from ..data import ReplayBuffer
from ..learners import root_mean_square, step_scale
from ..mechanics import Limits, State
from ..simulate import AbstractTransition, WorldModel
from ._agent import AbstractAgent, AbstractAgentState, Metrics, Phase, Purpose, required
from ._networks import Features
from ._plan_policy import PlanLibrary, PlanPolicy
from ._planning_cost import WorldCost

# Cost of an action at its limit, in standard deviations of the reward: without one, plans that
# are at the goal chatter.
_EFFORT = 3e-3
_HOLD = 8.0  # steps for which a random action is held, on average
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

    Each update makes one plan, in turn from a first state of an episode and from any state of
    the replay buffer, and replaces the oldest one of the library. Two guesses of its actions
    are improved, and the better plan is kept: what the acting policy does in the model, and
    the best of many random sequences. So old plans follow a new model, and new ones are still
    found.

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
        library = PlanLibrary.empty(self.plans, self.horizon, n, m)
        policy = PlanPolicy(self.features, library, self.noise)
        return PlanningState(policy, jnp.zeros((), int))

    def improve(
        self,
        state: PlanningState,
        world: WorldModel | None,
        buffer: ReplayBuffer,
        phase: Phase,
        updates: int,
    ) -> tuple[PlanningState, Metrics]:
        world = required(world)
        cost = self._cost(world, buffer)
        keys = jax.random.split(phase.key(Purpose.IMPROVE), updates)

        def update(state: PlanningState, key: PRNGKeyArray) -> tuple[PlanningState, Metrics]:
            start_key, guess_key = jax.random.split(key)
            start = self._start(state, buffer, start_key)
            plan = self._plan(state.policy, world, cost, start, guess_key)
            finite = jnp.isfinite(plan.cost)
            policy = self._replaced(state, world, plan, finite)
            metrics = {
                "planned_return": -plan.cost,
                "converged": plan.status == PlanStatus.CONVERGED,
                "skipped": ~finite,
            }
            return PlanningState(policy, state.count + 1), metrics

        state, metrics = jax.lax.scan(update, state, keys)
        means = {name: jnp.mean(each.astype(float)) for name, each in metrics.items()}
        finite = jnp.sum(~metrics["skipped"])
        returns = jnp.where(metrics["skipped"], 0, metrics["planned_return"])
        means["planned_return"] = jnp.sum(returns) / jnp.maximum(finite, 1)
        return state, {**means, "skipped": jnp.sum(metrics["skipped"]).astype(float)}

    def _cost(self, world: WorldModel, buffer: ReplayBuffer) -> SoftLimits:
        """Weigh limits and uncertainty by how much rewards vary."""
        rewards, filled = buffer.experience.reward, buffer.filled
        mean = jnp.sum(jnp.where(filled, rewards, 0)) / jnp.maximum(jnp.sum(filled), 1)
        scale = root_mean_square(rewards - mean, filled)
        step = step_scale(buffer.experience, world.transition.coordinates, filled)
        cost = WorldCost(world, step, self.uncertainty * scale, _EFFORT * scale)
        # Angles have no limit.
        angles = self.features.coordinates.angles
        positions = (
            0.0 if angle else x for angle, x in zip(angles, self.limits[0], strict=True)
        )
        return SoftLimits.symmetric(cost, (*positions, *self.limits[1]), scale)

    def _start(self, state: PlanningState, buffer: ReplayBuffer, key: PRNGKeyArray) -> State:
        first, any_state = buffer.sample_first(key, 1), buffer.sample(key, 1)
        return jax.tree.map(
            lambda a, b: jnp.where(state.count % 2 == 0, a[0], b[0]),
            first.state,
            any_state.state,
        )

    def _plan(
        self,
        policy: PlanPolicy,
        world: WorldModel,
        cost: SoftLimits,
        start: State,
        key: PRNGKeyArray,
    ) -> Plan:
        """Improve both guesses and return the better plan."""
        transition, box = world.transition, self.planner.box
        random = random_actions(key, _GUESSES, self.horizon, box, _HOLD, start.q.dtype)
        costs = jax.vmap(lambda each: _cost_of(transition, cost, start, each))(random)
        random = random[jnp.argmin(jnp.where(jnp.isfinite(costs), costs, jnp.inf))]

        def follow(now: State, _: None) -> tuple[State, Array]:
            action = policy.mode(now)
            return transition.step(now, action), action

        _, followed = jax.lax.scan(follow, start, length=self.horizon)
        followed = jnp.where(jnp.isfinite(followed), followed, 0)
        # One after another, by one program: on a CPU as fast as both at once.
        plans: Plan = jax.lax.map(
            lambda guess: self.planner.solve(transition, cost, start, guess),
            jnp.stack([followed, random]),
        )
        better = jnp.argmin(jnp.where(jnp.isfinite(plans.cost), plans.cost, jnp.inf))
        return jax.tree.map(lambda x: x[better], plans)

    def _replaced(
        self, state: PlanningState, world: WorldModel, plan: Plan, finite: Bool[Array, ""]
    ) -> PlanPolicy:
        """Write a plan and its tracker over the oldest plan."""
        n, m = plan.states.q.shape[1], self.planner.box.size
        limits = jnp.concatenate([jnp.asarray(x, plan.actions.dtype)[:n] for x in self.limits])
        weights = jnp.diag(1 / jnp.where(limits > 0, limits, 1) ** 2)
        gains, values = tracking_gains(
            world.transition,
            plan.states,
            plan.actions,
            weights,
            self.effort * jnp.eye(m, dtype=plan.actions.dtype),
            weights,
        )
        before = jax.tree.map(lambda x: x[:-1], plan.states)
        made = (before, plan.actions, gains, values)
        usable = finite
        for x in jax.tree.leaves(made):
            usable &= jnp.all(jnp.isfinite(x))
        old, slot = state.policy.plans, state.count % self.plans
        states, actions, gains, values = jax.tree.map(
            lambda kept, new: kept.at[slot].set(jnp.where(usable, new, kept[slot])),
            (old.states, old.actions, old.gains, old.values),
            made,
        )
        planned = old.planned.at[slot].set(usable | old.planned[slot])
        return eqx.tree_at(
            lambda p: p.plans,
            state.policy,
            PlanLibrary(states, actions, gains, values, planned),
        )


def _cost_of(
    transition: AbstractTransition,
    cost: AbstractCost,
    start: State,
    actions: Float[Array, "time m"],
) -> Scalar:
    """Simulate actions and compute their cost."""

    def step(now: State, action: Array) -> tuple[State, Scalar]:
        return transition.step(now, action), cost.stage(now, action)

    last, costs = jax.lax.scan(step, start, actions)
    return jnp.sum(costs) + cost.final(last)
