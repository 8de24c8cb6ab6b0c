import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagdyna.mechanics import (
    AbstractRigidBody,
    Coordinates,
    FixedActuation,
    MechanicalSystem,
    State,
    euler_lagrange,
)
from lagdyna.simulate import LagrangianField, SolvedTransition, rollout

from ..helpers import close, random_delan, random_state

# Linear and angular coordinates; the last is too large for the unrolled substitution.
SYSTEMS = [
    (True,),
    (False, True),
    (True, False, True),
    (False, True, True, False),
    (True, False) * 5,
]
every_system = pytest.mark.parametrize("angles", SYSTEMS, ids=len)
seeds = st.integers(0, 10_000)


@eqx.filter_jit
def both_routes(model: AbstractRigidBody, q, qd, x):
    """Compute all quantities by factor and potential, and from the scalar `L` alone."""
    el = euler_lagrange
    return (
        (
            model.forward_dynamics(q, qd, x),
            model.inverse_dynamics(q, qd, x),
            model.momentum(q, qd),
            model.mass_matrix(q, qd),
            model.energy(q, qd),
        ),
        (
            el.forward_dynamics(model, q, qd, x),
            el.inverse_dynamics(model, q, qd, x),
            el.momentum(model, q, qd),
            el.mass_matrix(model, q, qd),
            el.energy(model, q, qd),
        ),
    )


@every_system
def test_cholesky_route_agrees_with_the_general_euler_lagrange_equation(angles, x64):
    for seed in range(3):
        model = random_delan(seed, angles)
        close(*both_routes(model, *random_state(seed, len(angles))), 1e-10)


ANGLES = (False, True, True)


@eqx.filter_jit
def answers(model, q, qd, x):
    """Compute all quantities of the tests in one program, since compilation dominates."""
    inverse = model.inverse_dynamics(q, qd, x)
    # The whole tensor dM_ij/dq_k, which the library never builds.
    slope = jax.jacfwd(lambda q: model.mass_matrix(q, qd))(q)
    return {
        "mass_matrix": model.mass_matrix(q, qd),
        "mass_slope": slope,
        "kinetic": model.kinetic_energy(q, qd),
        "potential": model.potential_energy(q),
        "energy": model.energy(q, qd),
        "momentum": model.momentum(q, qd),
        "inverse": inverse,
        "there_and_back": model.forward_dynamics(q, qd, inverse),
        "forces": model.forces(q, qd, x),
    }


def ask(seed: int):
    q, qd, x = random_state(seed, 3)
    return q, qd, x, answers(random_delan(seed, ANGLES), q, qd, x)


@given(seed=seeds)
def test_forward_dynamics_inverts_inverse_dynamics(seed, tolerance):
    _, _, qdd, got = ask(seed)
    close(got["there_and_back"], qdd, tolerance)


@given(seed=seeds)
def test_energy_is_kinetic_plus_potential(seed, tolerance):
    _, qd, _, got = ask(seed)
    close(got["kinetic"], 0.5 * qd @ got["mass_matrix"] @ qd, tolerance)
    close(got["energy"], got["kinetic"] + got["potential"], tolerance)


@given(seed=seeds)
def test_momentum_is_mass_times_velocity(seed, tolerance):
    _, qd, _, got = ask(seed)
    close(got["momentum"], got["mass_matrix"] @ qd, tolerance)


@given(seed=seeds)
def test_forces_add_up_to_inverse_dynamics(seed, tolerance):
    _, _, _, got = ask(seed)
    close(sum(got["forces"]), got["inverse"], tolerance)


@given(seed=seeds)
def test_coriolis_force_matches_the_christoffel_symbols(seed, x64):
    _, qd, qdd, got = ask(seed)
    slope = np.asarray(got["mass_slope"])
    symbols = 0.5 * (slope + slope.transpose(0, 2, 1) - slope.transpose(2, 1, 0))
    coriolis = symbols @ np.asarray(qd)
    close(got["forces"].coriolis, coriolis @ qd, 1e-10)
    close(got["forces"].inertial, got["mass_matrix"] @ qdd, 1e-10)
    skew = slope @ np.asarray(qd) - 2 * coriolis
    close(skew, -skew.T, 1e-10)


def test_coriolis_force_is_zero_at_rest_and_even_in_velocity(tolerance):
    q, qd, qdd = random_state(0, 3)
    model = random_delan(0, ANGLES)
    at_rest, forwards, backwards = (
        answers(model, q, sign * qd, qdd)["forces"].coriolis for sign in (0, 1, -1)
    )
    np.testing.assert_allclose(at_rest, 0, atol=tolerance / 100)
    assert np.abs(forwards).max() > 1e-3
    close(backwards, forwards, tolerance)


def test_energy_along_a_rollout_grows_by_the_work_of_the_force(x64):
    model = random_delan(1, (True, True))
    force = jnp.asarray([0.3, -0.2])
    # The transition has no angles, so nothing is wrapped. The work of a constant force is
    # force times distance.
    free = Coordinates((False, False))
    identity = FixedActuation(((1.0, 0.0), (0.0, 1.0)))
    field = LagrangianField(MechanicalSystem(model, free, identity))
    transition = SolvedTransition(field, free, 0.1, solver="tsit5", substeps=40)
    q, qd, _ = random_state(1, 2)
    states = eqx.filter_jit(rollout)(transition, State(q, qd), jnp.tile(force, (20, 1)))
    energy = eqx.filter_jit(lambda m: jax.vmap(m.energy)(states.q, states.qd))(model)
    work = (states.q - states.q[0]) @ force
    assert np.abs(work).max() > 0.1
    close(energy - energy[0], work, 1e-10)
