import math

import equinox as eqx
import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from lagdyna.mechanics import State
from lagdyna.simulate import SolvedTransition, rollout
from lagdyna.systems import Pendulum

from ..helpers import PENDULUM, close, pendulum_field, state

BUILDERS = {"rod": Pendulum.rod, "point_mass": Pendulum.point_mass}
every_pendulum = pytest.mark.parametrize("kind", BUILDERS)


def derived(kind: str):
    """Derive the acceleration and its parameter gradients from the paths of mass points."""
    t, s, m, r, g, tau = sympy.symbols("t s m r g tau", positive=True)
    angle = sympy.Function("q")(t)
    x, y = s * sympy.sin(angle), s * sympy.cos(angle)
    per_mass = sympy.simplify((x.diff(t) ** 2 + y.diff(t) ** 2) / 2) - g * y
    lagrangian = {
        "rod": sympy.integrate(m / r * per_mass, (s, 0, r)),
        "point_mass": (m * per_mass).subs(s, r),
    }[kind]
    equation = lagrangian.diff(angle.diff(t)).diff(t) - lagrangian.diff(angle) - tau
    (qdd,) = sympy.solve(equation, angle.diff(t, 2))
    q = sympy.symbols("q")
    qdd = qdd.subs(angle, q)
    return sympy.lambdify([q, m, r, g, tau], [qdd, qdd.diff(m), qdd.diff(r), qdd.diff(g)])


@eqx.filter_jit
@eqx.filter_value_and_grad
def acceleration(pendulum, q, qd, tau):
    return pendulum.forward_dynamics(q, qd, tau)[0]


@every_pendulum
def test_acceleration_and_its_parameter_gradients_match_sympy(kind, x64):
    exact = derived(kind)
    rng = np.random.default_rng(0)
    for m, r, g, q, qd, tau in rng.uniform(0.3, 3, (5, 6)):
        pendulum = BUILDERS[kind](m, r, g)
        value, gradient = acceleration(pendulum, *(jnp.asarray([x]) for x in (q, qd, tau)))
        got = (value, gradient.mass, gradient.length, gradient.gravity)
        np.testing.assert_allclose(got, exact(q, m, r, g, tau), rtol=1e-12)


def free_swing(pendulum: Pendulum, amplitude: float, seconds: float) -> State:
    """Compute the state `seconds` after a release at `amplitude` from hanging."""
    field = eqx.tree_at(lambda f: f.system.lagrangian, pendulum_field(), pendulum)
    transition = SolvedTransition(field, PENDULUM, seconds, solver="tsit5", substeps=300)
    start = state(math.pi - amplitude, 0.0)
    return eqx.filter_jit(transition.step)(start, jnp.zeros(1))


@every_pendulum
def test_period_of_small_oscillations(kind, x64):
    length, gravity = 0.8, 9.0
    ratio = {"rod": 2 / 3, "point_mass": 1.0}[kind]
    period = 2 * math.pi * math.sqrt(ratio * length / gravity)
    amplitude = 1e-3
    pendulum = BUILDERS[kind](1.7, length, gravity)
    half = free_swing(pendulum, amplitude, period / 2)
    # Half a period later it is at rest at the opposite amplitude.
    error = PENDULUM.difference(half.q, jnp.asarray([math.pi + amplitude]))
    assert abs(error[0]) < 1e-5 * amplitude
    assert abs(half.qd[0]) < 1e-5 * amplitude


def test_period_of_large_oscillations_is_the_arithmetic_geometric_mean(x64):
    amplitude = 2.5
    a, b = 1.0, math.cos(amplitude / 2)
    for _ in range(10):
        a, b = (a + b) / 2, math.sqrt(a * b)
    period = 2 * math.pi * math.sqrt(1 / 9.8) / a
    end = free_swing(Pendulum.point_mass(), amplitude, period)
    close(end, state(math.pi - amplitude, 0.0), 1e-9)


def gymnasium_transition() -> SolvedTransition:
    return SolvedTransition(pendulum_field(), PENDULUM, 0.05, solver="semi_implicit_euler")


gymnasium_step = eqx.filter_jit(lambda s, u: gymnasium_transition().step(s, u))


# Speeds at which neither the step's own clipping nor Gymnasium's acts.
@given(q=st.floats(-3.1, 3.1), qd=st.floats(-6, 6), action=st.floats(-1, 1))
def test_a_step_matches_gymnasium(q, qd, action, x64):
    env = gym.make("Pendulum-v1").unwrapped
    env.reset(seed=0)
    env.state = np.asarray([q, qd])
    env.step(np.asarray([2 * action]))
    after = gymnasium_step(state(q, qd), jnp.asarray([action]))
    close(PENDULUM.difference(after.q, jnp.asarray(env.state[:1])), np.zeros(1), 1e-13)
    close(after.qd, env.state[1:], 1e-13)


def test_an_episode_matches_gymnasium():
    env = gym.make("Pendulum-v1").unwrapped
    env.reset(seed=3)
    env.state = np.asarray([2.5, 0.0])
    start = state(2.5, 0.0)
    actions = np.random.default_rng(0).uniform(-1, 1, (60, 1))
    seen = [env.state]
    for action in actions:
        env.step(2 * action)
        seen.append(env.state)
    assert np.abs(np.stack(seen)[:, 1]).max() < 8  # nothing was clipped
    states = eqx.filter_jit(rollout)(gymnasium_transition(), start, jnp.asarray(actions))
    q, qd = np.stack(seen, axis=1)[..., None]
    np.testing.assert_allclose(PENDULUM.difference(states.q, jnp.asarray(q)), 0, atol=2e-4)
    np.testing.assert_allclose(states.qd, qd, atol=2e-4)


def test_physical_parameters_are_the_trainable_leaves():
    leaves = jax.tree.leaves(eqx.filter(Pendulum.rod(3.0, 2.0, 5.0), eqx.is_inexact_array))
    np.testing.assert_array_equal(leaves, [3.0, 2.0, 5.0])


def test_upright_is_the_top_of_the_potential():
    pendulum = Pendulum.point_mass(2.0, 3.0, 5.0)
    heights = [float(pendulum.potential_energy(jnp.asarray([q]))) for q in (0.0, math.pi)]
    np.testing.assert_allclose(heights, [30.0, -30.0], rtol=1e-6)
