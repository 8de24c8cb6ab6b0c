import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna import UserError
from lagdyna.control import (
    LQR,
    ActionBox,
    Plan,
    PlanStatus,
    Tracker,
    closed_loop,
    find_equilibrium,
)
from lagdyna.mechanics import State
from lagdyna.simulate import rollout

from ..helpers import close, state
from .systems import LinearTransition

BOX = ActionBox.unit(1)


@pytest.fixture(scope="module")
def tracker(swing_up):
    model, _, _, plan = swing_up
    lqr = LQR.design(model, find_equilibrium(model, [0.0], BOX), BOX)
    return Tracker.design(model, plan, BOX, goal=lqr, region=0.1)


def test_tracker_brings_a_disturbed_swing_up_to_the_goal_and_holds_it(swing_up, tracker):
    """The same plan without feedback falls."""
    model, _, start, plan = swing_up
    heavy = eqx.tree_at(lambda t: t.field.system.lagrangian.mass, model, jnp.asarray(1.03))
    disturbed = State(start.q - 0.1, start.qd + 0.2)
    states, actions = jax.jit(lambda s: closed_loop(heavy, tracker, s, 160))(disturbed)
    assert abs(float(states.q[-1, 0])) < 0.01
    assert float(jnp.max(jnp.abs(actions))) <= 1
    alone = rollout(heavy, disturbed, plan.actions)
    assert abs(float(alone.q[-1, 0])) > 0.3


def test_regulator_takes_over_in_its_region_and_keeps_control(tracker):
    memory = tracker.init(state(0.0, 0.0))
    far, near = state(np.pi, 0.0), state(0.01, 0.0)
    _, memory = tracker.control(memory, far)
    assert not memory.caught
    action, memory = tracker.control(memory, near)
    assert memory.caught
    close(action, tracker.goal(near), 1e-6)
    action, memory = tracker.control(memory, far)
    close(action, tracker.goal(far), 1e-6)
    assert memory.step == 3


def test_gains_at_an_equilibrium_are_those_of_the_regulator(x64):
    line = LinearTransition([[1.0, 0.1], [0.0, 1.0]], [[0.005], [0.1]])
    lqr = LQR.design(line, find_equilibrium(line, [0.0], BOX), BOX)
    still = jnp.zeros((6, 1))
    zero = jnp.zeros(())
    plan = Plan(
        State(still, still),
        still[1:],
        zero,
        zero,
        jnp.asarray(1),
        jnp.asarray(int(PlanStatus.CONVERGED)),
    )
    gains = Tracker.design(line, plan, BOX, goal=lqr).gains
    close(gains, jnp.broadcast_to(lqr.gain, gains.shape), 1e-9)
    failed = dataclasses.replace(plan, status=jnp.asarray(int(PlanStatus.ITERATIONS)))
    with pytest.raises(UserError, match="the plan did not converge in 1 iterations"):
        Tracker.design(line, failed, BOX)
    with pytest.raises(UserError, match="`region` was -1"):
        Tracker.design(line, plan, BOX, region=-1.0)
