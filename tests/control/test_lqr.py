import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna import UserError
from lagdyna.control import (
    LQR,
    ActionBox,
    DrivenTransition,
    Equilibrium,
    IncrementalTransition,
    closed_loop,
    find_equilibrium,
    region_of_attraction,
)

from ..helpers import close, state
from .systems import DT, LinearTransition, pendulum

BOX = ActionBox.unit(1)
DOUBLE_INTEGRATOR = LinearTransition([[1.0, 0.1], [0.0, 1.0]], [[0.005], [0.1]])


def regulator(transition, q=0.0, **weights):
    return LQR.design(transition, find_equilibrium(transition, [q], BOX), BOX, **weights)


@functools.cache
def pendulum_regulator(q: float, dt: float = DT) -> LQR:
    return regulator(pendulum(dt), q)


step = eqx.filter_jit(lambda transition, at, action: transition.step(at, action))
act = eqx.filter_jit(lambda lqr, at: lqr(at))
value_of = eqx.filter_jit(lambda lqr, at: lqr.value_of(at))


def test_cost_of_the_closed_loop_is_that_of_the_value_function(x64):
    weights = {"state_weights": (2.0, 0.5), "action_weights": 0.3}
    lqr = regulator(DOUBLE_INTEGRATOR, **weights)
    start = state(0.02, -0.01)
    states, actions = closed_loop(DOUBLE_INTEGRATOR, lqr, start, 400)
    q, qd, action = map(np.asarray, (states.q, states.qd, actions))
    cost = np.sum(2 * q[:-1] ** 2 + 0.5 * qd[:-1] ** 2 + 0.3 * action**2)
    close(cost, value_of(lqr, start), 1e-8)


def test_actions_are_clipped_and_angles_differ_along_the_circle():
    lqr, away = pendulum_regulator(np.pi), np.pi - 0.05
    above, below = (act(lqr, state(q, 0.0)).item() for q in (away, -away))
    np.testing.assert_allclose(above, -below, rtol=1e-4)
    assert 0 < abs(above) < 1
    assert abs(act(pendulum_regulator(0.0), state(2.0, 0.0)).item()) == 1


def test_mode_that_no_action_influences_is_named():
    uncontrolled = LinearTransition(
        [[1.1, 0, 0, 0], [0, 1, 0, 0.1], [0, 0, 0.5, 0], [0, 0, 0, 1]], [[0.0], [0], [0], [0.1]]
    )
    equilibrium = find_equilibrium(uncontrolled, [0.0, 0.0], BOX)
    with pytest.raises(UserError, match=r"a mode in q\[0\] grows by a factor of 1.1 in a step"):
        LQR.design(uncontrolled, equilibrium, BOX)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"state_weights": (1.0, 1.0, 1.0)}, "`state_weights` has 3 entries"),
        ({"state_weights": -1.0}, "positive semidefinite"),
        ({"action_weights": 0.0}, "positive definite"),
        ({"state_weights": 0.0}, "give every coordinate and velocity a positive weight"),
    ],
)
def test_weights_without_a_regulator_are_refused(weights, message):
    with pytest.raises(UserError, match=message):
        regulator(DOUBLE_INTEGRATOR, **weights)


def test_region_of_attraction_of_a_clipped_unstable_mode():
    """`q' = 1.5 q + u` with `|u| <= 1` can be stopped from `|q| < 2` only."""
    transition = LinearTransition([[1.5, 0.0], [0.0, 0.5]], [[1.0], [0.0]])
    lqr = regulator(transition)
    rho = region_of_attraction(transition, lqr, key=jax.random.key(0), samples=256)
    largest = 4 * np.asarray(lqr.value)[0, 0]
    assert 0.75 * largest < rho < largest


def test_regulator_of_another_model_has_no_region():
    lqr = regulator(DOUBLE_INTEGRATOR)
    runaway = LinearTransition([[3.0, 0.0], [0.0, 3.0]], [[0.0], [0.1]])
    assert region_of_attraction(runaway, lqr, key=jax.random.key(0), samples=8, steps=9) == 0


def test_design_is_about_the_held_action_of_a_step():
    """A longer step gives a smaller gain: the action acts for longer."""
    long, short = (pendulum_regulator(0.0, dt).gain for dt in (4 * DT, DT))
    assert abs(np.asarray(long)[0, 0]) < abs(np.asarray(short)[0, 0])


def test_actions_that_do_not_act_are_zero():
    both = LinearTransition(DOUBLE_INTEGRATOR.a, [[9.0, 0.005], [9.0, 0.1]])
    one = DrivenTransition(both, (False, True))
    start, action = state(0.3, -0.2), jnp.asarray([0.7])
    close(step(one, start, action), step(DOUBLE_INTEGRATOR, start, action), 1e-6)
    full = eqx.filter_jit(lambda driven, actions: driven.full(actions))
    np.testing.assert_array_equal(
        full(one, jax.device_put(np.ones((2, 1)))), [[0.0, 1.0], [0.0, 1.0]]
    )


def test_changes_add_to_the_last_action_within_its_limits():
    incremental = IncrementalTransition(DOUBLE_INTEGRATOR, ActionBox.unit(1))

    @eqx.filter_jit
    def changed(at, last, change):
        return incremental.split(incremental.step(incremental.join(at, last), change))

    after, action = changed(state(0.3, -0.2), jnp.asarray([0.9]), jnp.asarray([0.3]))
    close(action, [1.0], 0)
    close(after, step(DOUBLE_INTEGRATOR, state(0.3, -0.2), jnp.asarray([1.0])), 1e-6)


def test_regulator_of_changes_leads_the_action_back_to_zero():
    box = ActionBox.unit(1)
    incremental = IncrementalTransition(DOUBLE_INTEGRATOR, box)
    rest = incremental.equilibrium(Equilibrium(state(0.0, 0.0), jnp.zeros(1)))
    lqr = LQR.design(incremental, rest, box, action_weights=100.0)
    start = incremental.join(state(0.3, 0.0), jnp.zeros(1))
    states, changes = closed_loop(incremental, lqr, start, 400)
    last = jax.tree.map(lambda x: jax.device_put(np.asarray(x)[-1]), states)
    (q, qd), action = eqx.filter_jit(incremental.split)(last)
    assert abs(np.asarray(changes)[0, 0]) < 0.1  # a plain regulator begins with -0.28
    close(np.concatenate([q, qd, action]), np.zeros(3), 1e-3)
