"""Controllers that plan again in every step."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna.control import CEM, ILQR, MPC, MPPI, ActionBox, GoalCost, RewardCost, closed_loop
from lagdyna.mechanics import State

from ..helpers import PENDULUM, close, state
from .systems import pendulum

BOX = ActionBox.unit(1)
KEY = jax.random.key(3)


@pytest.fixture(scope="module")
def problem(swing_up):
    model, cost, start, _ = swing_up
    cost = GoalCost(
        cost.goal,
        PENDULUM,
        state_weights=(1.0, 0.1),
        action_weights=0.01,
        final_weights=(10.0, 1.0),
    )
    return model, cost, start


def mpc(model, cost):
    guess = jnp.tile(jnp.asarray([[1.0], [-1.0]]), (15, 1)).at[:8].set(0.5)
    return MPC(model, cost, ILQR(BOX, iterations=3, regularisation=1e-3), 30, guess)


CONTROLLERS = {
    "mpc": mpc,
    "mppi": lambda model, cost: MPPI(model, cost, BOX, 25, KEY, samples=64),
    "cem": lambda model, cost: CEM(model, cost, BOX, 25, KEY, samples=48, elites=8),
}


@pytest.mark.parametrize("name", CONTROLLERS)
def test_swing_up_in_closed_loop(name, problem):
    model, cost, start = problem
    controller = CONTROLLERS[name](model, cost)
    states, actions = jax.jit(lambda s: closed_loop(model, controller, s, 120))(start)
    assert float(jnp.max(jnp.abs(states.q[-10:]))) < 0.3
    assert float(jnp.max(jnp.abs(actions))) <= 1


def test_python_loop_and_batch_give_the_same_actions(problem):
    model, cost, start = problem
    controller = mpc(model, cost)
    memory, now, taken = controller.init(start), start, []
    control, step = eqx.filter_jit(controller.control), eqx.filter_jit(model.step)
    for _ in range(3):
        action, memory = control(memory, now)
        now = step(now, action)
        taken.append(action)
    starts = State(*(jnp.stack([x, x]) for x in start))
    run = jax.jit(jax.vmap(lambda s: closed_loop(model, controller, s, 3)[1]))
    close(run(starts)[1], jnp.stack(taken), 1e-3)


@pytest.mark.parametrize("name", ["mppi", "cem"])
def test_costs_that_are_not_finite_do_not_spoil_the_samples(name):
    cost = RewardCost(lambda s, a: jnp.where(jnp.abs(s.q[0]) < 9, jnp.nan, 0.0))
    controller = CONTROLLERS[name](pendulum(), cost)
    start = state(1.0, 0.0)
    control = eqx.filter_jit(lambda now: controller.control(controller.init(now), now))
    action, memory = control(start)
    assert np.all(np.isfinite(action))
    assert np.all(np.isfinite(memory.actions))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda m, c: MPC(m, c, ILQR(BOX), 0), "`horizon` was 0"),
        (lambda m, c: MPC(m, c, ILQR(BOX), 5, jnp.zeros((4, 1))), r"shape \(4, 1\)"),
        (lambda m, c: MPPI(m, c, BOX, 5, KEY, temperature=0.0), "`temperature` was 0.0"),
        (lambda m, c: MPPI(m, c, BOX, 5, KEY, correlation=1.0), "`correlation` was 1.0"),
        (lambda m, c: CEM(m, c, BOX, 5, KEY, elites=1), "`elites` was 1 of 128 samples"),
        (lambda m, c: CEM(m, c, BOX, 0, KEY), "`horizon` was 0"),
    ],
)
def test_options_out_of_range_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build(pendulum(), RewardCost(lambda s, a: s.q[0]))
