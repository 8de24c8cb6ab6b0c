import math

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagdyna.mechanics import Coordinates, State
from lagdyna.simulate import AbstractSecondOrderField, SolvedTransition, Tolerances, rollout

from ..helpers import PENDULUM, close, identical, normals, pendulum_field, state

step = eqx.filter_jit(lambda transition, s, action: transition.step(s, action))
START, ACTION = (2.0, -1.5), (0.6,)


def transition(dt=0.4, **options) -> SolvedTransition:
    return SolvedTransition(pendulum_field(), PENDULUM, dt, **options)


def diffrax_solution(solver, terms, y0, **how):
    solve = jax.jit(
        lambda y0, action: (
            dfx.diffeqsolve(terms, solver, t0=0.0, t1=0.4, y0=y0, args=action, **how).ys
        )
    )
    return jax.tree.map(lambda y: y[-1], solve(y0, jnp.asarray(ACTION)))


@pytest.mark.parametrize(("name", "solver"), [("heun", dfx.Heun()), ("bosh3", dfx.Bosh3())])
def test_fixed_substeps_equal_a_constant_step_solve_of_diffrax(name, solver, x64):
    field = pendulum_field()
    term = dfx.ODETerm(lambda t, y, action: field(jnp.asarray(t), y, action))
    expected = diffrax_solution(solver, term, state(*START), dt0=0.05)
    mine = step(transition(solver=name, substeps=8), state(*START), jnp.asarray(ACTION))
    close(mine, expected, 1e-13)


def test_semi_implicit_substeps_equal_a_constant_step_solve_of_diffrax(x64):
    field = pendulum_field()
    terms = (
        dfx.ODETerm(lambda t, q, action: field.acceleration(0.0, q, 0 * q, action)),
        dfx.ODETerm(lambda t, qd, action: qd),
    )
    start = state(*START)
    qd, q = diffrax_solution(dfx.SemiImplicitEuler(), terms, (start.qd, start.q), dt0=0.05)
    solved = transition(solver="semi_implicit_euler", substeps=8)
    close(step(solved, start, jnp.asarray(ACTION)), State(PENDULUM.wrap(q), qd), 1e-13)


class _TimeDependentField(AbstractSecondOrderField):
    """Field with acceleration `exp(t)`, which shows the time that a solver passes."""

    def acceleration(self, t, q, qd, action):
        return jnp.exp(t) * jnp.ones_like(q)


# The error is 0.7 if time never advances, and 0.04 if it does not advance within a step.
@pytest.mark.parametrize(
    ("name", "error"), [("heun", 1e-3), ("tsit5", 1e-8), ("semi_implicit_euler", 0.05)]
)
def test_time_advances_through_stages_and_substeps(name, error, x64):
    solved = SolvedTransition(
        _TimeDependentField(), Coordinates((False,)), 1.0, solver=name, substeps=20
    )
    after = step(solved, state(0.0, 0.0), jnp.zeros(1))
    np.testing.assert_allclose(after.qd, [math.e - 1], atol=error)


@pytest.fixture(scope="module")
def exact() -> State:
    with jax.enable_x64(True):
        solved = transition(solver="dopri8", substeps=100)
        return step(solved, state(*START), jnp.asarray(ACTION))


@pytest.mark.parametrize("rtol", [1e-3, 1e-6, 1e-9])
def test_adaptive_steps_meet_their_tolerance(rtol, exact, x64):
    solved = transition(solver="tsit5", tolerances=Tolerances(rtol, rtol))
    after = step(solved, state(*START), jnp.asarray(ACTION))
    close(after, exact, 20 * rtol)


def test_more_than_max_steps_adaptive_steps_raise(x64):
    solved = transition(solver="heun", tolerances=Tolerances(1e-9, 1e-9, max_steps=4))
    with pytest.raises(eqx.EquinoxRuntimeError, match="maximum number of solver steps"):
        step(solved, state(*START), jnp.asarray(ACTION))


def test_adaptive_steps_work_in_single_precision(exact):
    solved = transition(solver="tsit5", tolerances=Tolerances())
    after = step(solved, state(*START), jnp.asarray(ACTION))
    assert after.q.dtype == jnp.float32
    close(after, exact, 1e-3)


@given(q=st.floats(-3.1, 3.1), qd=st.floats(-100, 100), action=st.floats(-1, 1))
def test_angles_are_wrapped_and_velocities_limited_after_a_step(q, qd, action, tolerance):
    solved = transition(velocity_limits=(8.0,))
    after = step(solved, state(q, qd), jnp.asarray([action]))
    assert -jnp.pi < after.q[0] <= jnp.asarray(jnp.pi)
    assert abs(after.qd[0]) <= 8


def test_limits_and_wrapping_do_not_change_states_within_them(x64):
    free = Coordinates((False,))
    raw = SolvedTransition(pendulum_field(), free, 0.05)
    limited = transition(0.05, velocity_limits=(8.0,))
    s, action = state(1.0, -2.0), jnp.asarray(ACTION)
    identical(step(limited, s, action), step(raw, s, action))


def test_a_linear_coordinate_is_not_wrapped():
    raw = SolvedTransition(pendulum_field(), Coordinates((False,)), 0.05)
    assert step(raw, state(30.0, 0.0), jnp.asarray(ACTION)).q[0] > 29


STOPS = st.sampled_from([0.5, 2.0, 3.1])


@given(stop=STOPS, q=st.floats(-3.1, 3.1), qd=st.floats(-90, 90), action=st.floats(-1, 1))
def test_a_coordinate_is_held_at_its_stop(stop, q, qd, action):
    after, free = (
        step(transition(**each), state(q, qd), jnp.asarray([action]))
        for each in ({"stops": (stop,)}, {"stops": (math.inf,)})
    )
    raw = SolvedTransition(pendulum_field(), Coordinates((False,)), 0.4)
    [turned], [speed] = step(raw, state(q, qd), jnp.asarray([action]))
    if abs(turned) <= stop:
        close(after, free, 1e-5)
        return
    # It stops on the side that it arrived at, even if it would have turned past pi.
    assert float(after.q[0]) == pytest.approx(math.copysign(stop, turned))
    outwards = turned * speed > 0
    assert float(after.qd[0]) == (0 if outwards else pytest.approx(float(speed)))


STEPS = 7


def test_context_stays_constant_and_does_not_affect_the_motion(x64):
    """Use a pendulum with a target position as context."""
    together = SolvedTransition(
        pendulum_field(),
        Coordinates((True, False, False)),
        0.4,
        velocity_limits=(8.0, math.inf, math.inf),
        context_size=2,
    )
    alone = step(transition(velocity_limits=(8.0,)), state(*START), jnp.asarray(ACTION))
    for target in ((0.3, -7.0), (5.0, 0.0)):
        start = State(jnp.asarray([START[0], *target]), jnp.asarray([START[1], 0.0, 0.0]))
        after = step(together, start, jnp.asarray(ACTION))
        identical(State(after.q[:1], after.qd[:1]), alone)
        assert after.q[1:].tolist() == list(target)
        assert after.qd[1:].tolist() == [0.0, 0.0]


def test_a_rollout_equals_a_loop_of_steps_and_includes_its_start(tolerance):
    solved, actions = transition(0.05), jnp.tanh(normals(0, STEPS, 1))
    states = [state(*START)]
    for action in actions:
        states.append(step(solved, states[-1], action))
    expected = jax.tree.map(lambda *x: jnp.stack(x), *states)
    got = eqx.filter_jit(rollout)(solved, state(*START), actions)
    assert got.q.shape == (STEPS + 1, 1)
    close(got, expected, tolerance)


@pytest.mark.parametrize(
    "options", [{}, {"solver": "tsit5", "tolerances": Tolerances()}], ids=["fixed", "adaptive"]
)
def test_a_batch_of_steps_equals_single_steps(options, x64):
    solved = transition(**options)
    states, actions = State(normals(1, 5, 1), normals(2, 5, 1)), jnp.tanh(normals(3, 5, 1))
    batched = eqx.filter_jit(lambda t: jax.vmap(t.step)(states, actions))(solved)
    for i in range(5):
        one = step(solved, jax.tree.map(lambda x, i=i: x[i], states), actions[i])
        close(jax.tree.map(lambda x, i=i: x[i], batched), one, 1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {"substeps": 3},
        {"solver": "semi_implicit_euler", "substeps": 2},
        {"solver": "tsit5", "tolerances": Tolerances(1e-11, 1e-11)},
    ],
    ids=["heun", "semi_implicit", "adaptive"],
)
def test_gradient_in_state_action_and_parameters_equals_finite_differences(options, x64):
    parameter = lambda t: t.field.system.lagrangian.length  # noqa: E731
    solved = transition(**options)

    @jax.jit
    def outcome(x):
        moved = eqx.tree_at(parameter, solved, x[3])
        q, qd = moved.step(State(x[:1], x[1:2]), x[2:3])
        return q[0] + 0.3 * qd[0]

    x, eps = jnp.asarray([*START, *ACTION, 1.1]), 1e-5
    differences = [
        (outcome(x + eps * e) - outcome(x - eps * e)) / (2 * eps) for e in jnp.eye(4)
    ]
    close(jax.jit(jax.grad(outcome))(x), jnp.stack(differences), 1e-7)


def test_repeated_steps_do_not_compile_again(compilations):
    states = [state(0.1 * i, 0.5) for i in range(5)]
    action = jnp.asarray(ACTION)
    step(transition(0.07), states[0], action)
    after_first = compilations()
    assert after_first > 0
    # Equal transitions share one compiled program.
    for s in states:
        step(transition(0.07), s, action)
    assert compilations() == after_first


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"dt": 0.0}, "`dt`.*got 0.0"),
        ({"dt": -0.1}, "`dt`.*got -0.1"),
        ({"dt": math.inf}, "`dt`.*got inf"),
        ({"dt": math.nan}, "`dt`.*got nan"),
        ({"substeps": 0}, "`substeps`.*got 0"),
        ({"solver": "euler", "tolerances": Tolerances()}, "`tolerances`.*'euler'"),
        ({"velocity_limits": (1.0, 2.0)}, "`velocity_limits`.*2 entries for 1"),
        ({"velocity_limits": ()}, "`velocity_limits`.*0 entries for 1"),
        ({"velocity_limits": (-8.0,)}, "`velocity_limits`.*positive.*-8.0"),
        ({"velocity_limits": (math.nan,)}, "`velocity_limits`.*positive.*nan"),
        ({"stops": (1.0, 2.0)}, "`stops`.*2 entries for 1"),
        ({"stops": (0.0,)}, "`stops`.*positive.*0.0"),
    ],
)
def test_a_wrong_argument_is_refused_by_name(wrong, message):
    with pytest.raises(ValueError, match=message):
        transition(**wrong)


@pytest.mark.parametrize("wrong", [{"rtol": 0.0}, {"atol": -1e-6}, {"max_steps": 0}])
def test_tolerances_that_are_not_positive_are_refused(wrong):
    with pytest.raises(ValueError, match="`rtol`, `atol` and `max_steps` must be positive"):
        Tolerances(**wrong)
