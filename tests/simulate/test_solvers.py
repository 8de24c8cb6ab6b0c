"""Named solvers: order of convergence, agreement with Diffrax, energy conservation."""

import math

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
import pytest

from lagdyna.mechanics import State, ViscousDissipation
from lagdyna.simulate import SOLVERS, SolvedTransition, get_solver, rollout
from lagdyna.systems import Pendulum

from ..helpers import PENDULUM, close, pendulum_field, state

ORDERS = {
    "euler": 1,
    "semi_implicit_euler": 1,
    "heun": 2,
    "midpoint": 2,
    "ralston": 2,
    "variational_midpoint": 2,
    "bosh3": 3,
    "tsit5": 5,
    "dopri5": 5,
    "dopri8": 8,
}
RUNGE_KUTTA = sorted(set(ORDERS) - {"semi_implicit_euler", "variational_midpoint"})

step = eqx.filter_jit(lambda transition, s, action: transition.step(s, action))


def transition(solver, dt=0.4, substeps=1, field=None) -> SolvedTransition:
    field = pendulum_field() if field is None else field
    return SolvedTransition(field, PENDULUM, dt, solver=solver, substeps=substeps)


START = (2.0, -1.5)
ACTION = np.asarray([0.6])


def test_every_named_solver_has_its_order_tested():
    assert set(ORDERS) == set(SOLVERS)


@pytest.fixture(scope="module")
def reference() -> np.ndarray:
    """Compute `(q, qd)` after 0.4 s to rounding error, with 100 steps of order 8."""
    with jax.enable_x64(True):
        after = step(transition("dopri8", substeps=100), state(*START), jax.device_put(ACTION))
        return np.concatenate(after)


@pytest.mark.parametrize("name", ORDERS)
def test_solver_converges_at_its_order(name, reference, x64):
    order = ORDERS[name]
    coarse = {1: 200, 2: 50, 3: 25, 5: 6, 8: 2}[order]

    def error(substeps: int) -> float:
        solved = transition(name, substeps=substeps)
        after = step(solved, state(*START), jax.device_put(ACTION))
        return float(np.linalg.norm(np.concatenate(after) - reference))

    first, second = error(coarse), error(2 * coarse)
    assert first > 1e-10  # far above rounding error
    observed = math.log2(first / second)
    assert observed == pytest.approx(order, abs=0.15 * order)


def diffrax_step(solver: dfx.AbstractSolver, h: float) -> State:
    """Take one step with the solver's own `step` method."""
    term = dfx.ODETerm(lambda t, y, args: pendulum_field()(t, y, args))

    @jax.jit
    def run(y, args):
        t0, t1 = jnp.zeros(()), jnp.asarray(h)
        carry = solver.init(term, t0, t1, y, args)
        return solver.step(term, t0, t1, y, args, carry, made_jump=False)[0]

    return run(state(*START), jax.device_put(ACTION))


@pytest.mark.parametrize("name", RUNGE_KUTTA)
def test_unrolled_runge_kutta_step_equals_the_diffrax_step(name, x64):
    mine = step(transition(name), state(*START), jax.device_put(ACTION))
    close(mine, diffrax_step(get_solver(name), 0.4), 1e-14)


def test_any_diffrax_solver_is_accepted(x64):
    solver = dfx.ImplicitEuler(root_finder=optx.Newton(rtol=1e-12, atol=1e-12))
    mine = step(transition(solver, dt=0.1), state(*START), jax.device_put(ACTION))
    # Compare with the implicit equation itself, not with Diffrax.
    slope = jax.jit(lambda y, action: pendulum_field()(0.0, y, action))(mine, ACTION)
    expected = jax.tree.map(
        lambda y, dy: np.asarray(y) + 0.1 * np.asarray(dy), state(*START), slope
    )
    close(mine, expected, 1e-9)


def test_an_implicit_step_that_does_not_converge_returns_nan(x64):
    # With a frozen Jacobian and a step this long, the iteration does not converge.
    solver = dfx.ImplicitEuler(root_finder=dfx.VeryChord(rtol=1e-9, atol=1e-9))
    after = step(transition(solver), state(*START), jax.device_put(ACTION))
    assert np.isnan(after.q).all()
    assert np.isnan(after.qd).all()


def test_semi_implicit_euler_updates_positions_with_the_new_velocities(x64):
    # Friction makes the acceleration depend on the old velocity.
    friction = ViscousDissipation(jnp.asarray([0.7]))
    field = eqx.tree_at(lambda f: f.system.dissipation, pendulum_field(), friction)
    mine = step(
        transition("semi_implicit_euler", field=field), state(*START), jax.device_put(ACTION)
    )
    qdd = 15 * math.sin(2.0) + 3 * (2 * 0.6 - 0.7 * -1.5)
    qd = -1.5 + 0.4 * qdd
    close(mine.qd, np.asarray([qd]), 1e-12)
    q = jax.jit(PENDULUM.difference)(mine.q, np.asarray([2.0 + 0.4 * qd]))
    close(q, np.zeros(1), 1e-12)


@pytest.fixture(scope="module")
def energies() -> dict[str, np.ndarray]:
    """Simulate about 100 swings of a free pendulum; return the energy error per solver."""

    @eqx.filter_jit
    def energy_error(solved: SolvedTransition, start: State) -> jax.Array:
        states = rollout(solved, start, jnp.zeros((8000, 1)))
        energy = jax.vmap(Pendulum.rod().energy)(*states)
        return energy - energy[0]

    found = {}
    with jax.enable_x64(True):
        for name in ("semi_implicit_euler", "euler"):
            solved = transition(name, dt=0.02)
            found[name] = np.asarray(energy_error(solved, state(2.0, 0.0)))
    return found


def test_semi_implicit_euler_keeps_the_energy_error_bounded(energies):
    error = np.abs(energies["semi_implicit_euler"])
    early, late = error[:1000].max(), error[-1000:].max()
    assert error.max() < 1.0  # the lowest and highest point differ by 10 J
    assert late == pytest.approx(early, rel=0.01)


def test_euler_gains_energy_without_end(energies):
    gained = energies["euler"][[1000, 2000, 4000, 8000]]
    assert gained[0] > 5
    assert (np.diff(gained) > 5).all()


@pytest.mark.parametrize(
    ("typo", "meant"),
    [("huen", "heun"), ("dopri", "dopri5"), ("semi-implicit-euler", "semi_implicit_euler")],
)
def test_an_unknown_solver_is_refused_with_the_nearest_names(typo, meant):
    with pytest.raises(ValueError, match=rf"`solver` was '{typo}'.*nearest: .*{meant}"):
        get_solver(typo)


def test_an_unknown_solver_without_close_match_is_refused_with_all_names():
    with pytest.raises(ValueError, match=r"all: .*euler.*tsit5"):
        transition("xyz")
