import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from lagdyna import UserError
from lagdyna.control import (
    ILQR,
    LQR,
    ActionBox,
    Equilibrium,
    GoalCost,
    PlanStatus,
    RewardCost,
    find_equilibrium,
)
from lagdyna.control._box_qp import solve_box_qp
from lagdyna.mechanics import Coordinates, State
from lagdyna.simulate import rollout as simulate

from ..helpers import PENDULUM, close, state
from .systems import LinearTransition

BOX = ActionBox.unit(1)
ORIGIN = Equilibrium(state(0.0, 0.0), jnp.zeros(1))
DOUBLE_INTEGRATOR = LinearTransition([[1.0, 0.1], [0.0, 1.0]], [[0.005], [0.1]])
PLANNER = ILQR(BOX)
STEPS = 30


rollout = eqx.filter_jit(simulate)
stage_cost = eqx.filter_jit(lambda cost, at, action: cost.stage(at, action))
final_cost = eqx.filter_jit(lambda cost, at: cost.final(at))


@eqx.filter_jit
def total(transition, cost, start, actions):
    """The cost of actions, by a plain rollout."""
    states = simulate(transition, start, actions)
    before, last = (jax.tree.map(lambda x, at=at: x[at], states) for at in (slice(-1), -1))
    return jnp.sum(jax.vmap(cost.stage)(before, actions)) + cost.final(last)


def test_plan_of_a_linear_system_is_that_of_the_regulator(x64):
    """With the regulator's value as final cost, the optimal cost is its value of the start."""
    line = LinearTransition(np.asarray(DOUBLE_INTEGRATOR.a), np.asarray(DOUBLE_INTEGRATOR.b))
    lqr = LQR.design(line, find_equilibrium(line, [0.0], BOX), BOX)
    cost = GoalCost(
        lqr.equilibrium,
        line.coordinates,
        state_weights=1.0,
        action_weights=1.0,
        final_weights=np.asarray(lqr.value),
    )
    start = state(0.1, 0.2)
    plan = PLANNER.solve(line, cost, start, jnp.zeros((STEPS, 1)))
    assert plan.converged
    assert plan.iterations <= 12
    close(plan.cost, lqr.value_of(start), 1e-8)


def test_swing_up_converges_at_the_goal(swing_up):
    model, cost, start, plan = swing_up
    plan.require_converged()
    assert plan.reason.startswith("the plan is a local optimum")
    assert abs(np.asarray(plan.states.q)[-1, 0]) < 0.05
    assert np.max(np.abs(plan.actions)) <= 1
    close(plan.states, rollout(model, start, plan.actions), 1e-3)
    close(plan.cost, total(model, cost, start, plan.actions), 1e-3)


def test_plan_is_stationary_within_the_limits(swing_up):
    """Karush-Kuhn-Tucker conditions by reverse differentiation of the rollout."""
    model, cost, start, plan = swing_up
    slope = jax.jit(jax.grad(lambda actions: total(model, cost, start, actions)))(plan.actions)
    slope, free = np.asarray(slope), np.abs(plan.actions) < 1
    scale = float(plan.cost)
    assert np.all(np.abs(slope[free]) < 0.03 * scale)
    assert np.all((slope * np.sign(plan.actions))[~free] < 0.03 * scale)


def test_warm_start_needs_few_iterations(swing_up):
    model, cost, _, plan = swing_up
    nearby = state(np.pi + 0.01, 0.0)
    again = PLANNER.solve(model, cost, nearby, plan.actions)
    assert again.converged
    close(again.cost, plan.cost, 0.1)


def test_guess_of_states_that_the_model_does_not_follow(swing_up):
    """Defects of a straight line vanish; the first state is the start."""
    model, cost, start, _ = swing_up
    line = np.linspace(np.pi, 0.0, 61)[:, None]
    guess = jax.device_put(State(line, np.zeros_like(line)))
    plan = PLANNER.solve(model, cost, start, jnp.zeros((60, 1)), guess)
    assert plan.converged
    assert float(plan.largest_defect) <= PLANNER.defect_tolerance
    close(np.asarray(plan.states.q)[0], start.q, 1e-6)
    close(plan.states, rollout(model, start, plan.actions), 1e-2)


def test_plan_that_did_not_converge_says_so():
    model, cost = DOUBLE_INTEGRATOR, GoalCost(ORIGIN, DOUBLE_INTEGRATOR.coordinates)
    once = ILQR(BOX, iterations=1)
    plan = once.solve(model, cost, state(1.0, 0.0), jnp.zeros((STEPS, 1)))
    assert not plan.converged
    with pytest.raises(UserError, match="did not converge in 1 iterations.*give more"):
        plan.require_converged()
    wild = once.solve(model, cost, state(np.nan, 0.0), jnp.zeros((STEPS, 1)))
    assert wild.status == PlanStatus.NOT_FINITE
    with pytest.raises(UserError, match="not finite along the first guess"):
        wild.require_converged()


def test_wrong_shapes_are_refused():
    model, cost = DOUBLE_INTEGRATOR, GoalCost(ORIGIN, DOUBLE_INTEGRATOR.coordinates)
    start = state(0.0, 0.0)
    for actions in (jnp.zeros((0, 1)), jnp.zeros((5, 2))):
        with pytest.raises(UserError, match="`actions` has shape"):
            PLANNER.solve(model, cost, start, actions)
    with pytest.raises(UserError, match="`start` has arrays of shapes"):
        PLANNER.solve(model, cost, State(jnp.zeros(2), jnp.zeros(2)), jnp.zeros((5, 1)))
    with pytest.raises(UserError, match=r"`reward` returned an array of shape \(1,\)"):
        reward = RewardCost(lambda s, a: a)
        PLANNER.solve(model, reward, start, jnp.zeros((5, 1)))
    with pytest.raises(UserError, match="`steps` was 0"):
        PLANNER.search(model, cost, start, 0, key=jax.random.key(0))


def test_costs_of_goals_are_smooth_on_the_circle():
    cost = GoalCost(ORIGIN, PENDULUM, final_weights=(3.0, 2.0))
    close(
        final_cost(cost, state(np.pi - 1e-3, 0.0)),
        final_cost(cost, state(1e-3 - np.pi, 0.0)),
        1e-6,
    )
    close(final_cost(cost, state(0.1, 0.5)), 3 * (2 * np.sin(0.05)) ** 2 + 2 * 0.25, 1e-6)
    at = state(0.7, -0.4)
    gradient = jax.jit(jax.grad(lambda at: cost.final(at)))(at)
    expanded = jax.jit(lambda at: cost.expand_final(at))(at)
    close(expanded.gradient, np.concatenate(gradient), 1e-5)


def test_rewards_and_goals_expand_alike(x64):
    """On linear coordinates a quadratic reward and the cost of a goal are the same."""
    line = Coordinates((False,))
    goal = Equilibrium(state(0.0, 0.0), jnp.zeros(1))
    cost = GoalCost(goal, line, state_weights=(3.0, 2.0), action_weights=0.5)
    reward = RewardCost(
        lambda s, a: -jnp.sum(3 * s.q**2 + 2 * s.qd**2 + 0.5 * a**2),
        lambda s: -100 * jnp.sum(s.q**2 + s.qd**2),
    )
    at, action = state(0.3, -0.8), jnp.asarray([0.2])

    def expanded(cost):
        return cost.expand_stage(at, action), cost.expand_final(at)

    close(stage_cost(reward, at, action), stage_cost(cost, at, action), 1e-12)
    close(eqx.filter_jit(expanded)(reward), eqx.filter_jit(expanded)(cost), 1e-9)


def test_negative_curvature_of_a_reward_is_left_out(x64):
    reward = RewardCost(lambda s, a: jnp.sum(s.q**2) - jnp.sum(a**2))
    expand = eqx.filter_jit(reward.expand_stage)
    hessian = expand(state(0.3, 0.0), jnp.asarray([0.1])).hessian
    close(hessian, np.diag([0.0, 0.0, 2.0]), 1e-9)


def test_box_quadratic_programs_agree_with_scipy(x64):
    solve = jax.jit(solve_box_qp)
    for seed in range(10):
        rng = np.random.default_rng(seed)
        root, gradient = rng.normal(size=(3, 3)), 3 * rng.normal(size=3)
        hessian = root @ root.T + 0.1 * np.eye(3)
        lower, upper = np.asarray([-0.5, -1.0, -2.0]), np.asarray([1.0, 0.2, 0.5])
        x, free = map(np.asarray, solve(*jax.device_put((hessian, gradient, lower, upper))))
        expected = scipy.optimize.minimize(
            lambda x, h=hessian, g=gradient: 0.5 * x @ h @ x + g @ x,
            np.zeros(3),
            bounds=list(zip(lower, upper, strict=True)),
            method="L-BFGS-B",
            options={"ftol": 1e-15, "gtol": 1e-10},
        )
        close(x, expected.x, 1e-5)
        assert np.array_equal(free, (x > lower) & (x < upper))
