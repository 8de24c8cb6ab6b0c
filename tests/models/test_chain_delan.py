from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagdyna.mechanics import Coordinates, euler_lagrange
from lagdyna.models import ChainDeLaN
from lagdyna.systems import PlanarChain

from ..helpers import built, close, normals, random_state, randomised, shape_of

ANGLES = Coordinates((True,) * 3)
MIXED = Coordinates((True, False, True))
KEY = jax.random.key(0)
MODEL = shape_of(ChainDeLaN, MIXED)


@eqx.filter_jit
def parts(model: ChainDeLaN, q: jax.Array | np.ndarray):
    """Compute `M` and `V`."""
    q = jnp.asarray(q)
    return model.mass_matrix(q, jnp.zeros_like(q)), model.potential_energy(q)


@given(seed=st.integers(0, 10_000), scale=st.floats(0.01, 1.0))
def test_mass_matrix_is_symmetric_positive_definite(seed, scale, x64):
    mass, _ = parts(randomised(MODEL, seed, scale), normals(seed, 3))
    mass = np.asarray(mass)
    close(mass, mass.T, 1e-12)
    assert np.linalg.eigvalsh(mass).min() > 0


@pytest.mark.parametrize("mass", [2.0, (5.0, 3.0, 0.02), (0.1, 3.0, 2.0)])
def test_untrained_mass_is_the_initial_mass_in_all_positions(mass):
    model = built(ChainDeLaN, ANGLES, initial_mass=mass, key=KEY)
    for seed in range(3):
        got, _ = parts(model, 3 * np.asarray(normals(seed, 3)))
        np.testing.assert_allclose(np.diag(got), np.broadcast_to(mass, 3), rtol=1e-4)


def test_equations_are_those_of_the_lagrangian(x64):
    model = randomised(MODEL, 0, 0.4)
    q, qd, qdd = random_state(1, 3)

    @eqx.filter_jit
    def forces(model: ChainDeLaN):
        tau = model.inverse_dynamics(q, qd, qdd)
        factor = model.mass_factor(q)
        return (
            tau,
            euler_lagrange.inverse_dynamics(model, q, qd, qdd),
            sum(model.forces(q, qd, qdd)),
            model.forward_dynamics(q, qd, tau),
            factor @ factor.T - model.mass_matrix(q, qd),
        )

    tau, expected, total, found, wrong = forces(model)
    close(tau, expected, 1e-10)
    close(total, tau, 1e-10)
    close(found, qdd, 1e-8)
    close(wrong, 0 * wrong, 1e-10)


def test_only_the_potential_depends_on_the_first_joint(x64):
    model, q = randomised(MODEL, 1, 0.5), np.asarray(normals(1, 3))

    def turned_by(*angles: float):
        return map(np.asarray, parts(model, q + np.asarray(angles)))

    mass, potential = turned_by(0, 0, 0)
    turned_mass, turned = turned_by(1, 0, 0)
    close(turned_mass, mass, 1e-12)
    assert abs(turned - potential) > 1e-3
    close(tuple(turned_by(2 * np.pi, 0, -2 * np.pi)), (mass, potential), 1e-11)
    assert np.abs(next(turned_by(0, 2 * np.pi, 0)) - mass).max() > 1e-2


def test_a_planar_chain_is_a_special_case(x64):
    mass, length, centre, inertia = np.array(
        [[2.0, 1.0, 0.5], [0.4, 0.3, 0.2], [0.1, 0.15, 0.12], [0.03, 0.02, 0.01]]
    )
    chain = PlanarChain(
        *jax.device_put((mass, length, centre / length, inertia, np.asarray(9.81)))
    )
    # Angular velocity of a link, then the velocity of its joint in axes of the link.
    motions, heights, weights = [], [], []
    for i in range(3):
        before = length[i - 1] if i else 0.0
        spin = np.diag([1.0, 0, 0])
        same = np.array([[0, 0, 0], [0, 1, 0], [before, 0, 1]])
        across = np.array([[0, 0, 0], [before, 0, 1], [0, -1, 0]])
        motions.append([spin, same, across])
        # Height of the joint, then those by which the axes of the link rise.
        along = np.array([[1, before, 0], [0, 0, 0], [0, 0, 0]])
        turned = np.diag([0.0, 1, 1])
        quarter = np.array([[0, 0, 0], [0, 0, 1], [0, -1, 0]])
        heights.append([along, turned, quarter])
        root = np.sqrt(mass[i])
        weights.append([[np.sqrt(inertia[i]), 0, 0], [0, root, 0], [root * centre[i], 0, root]])
    model = built(ChainDeLaN, ANGLES, size=3, potential_size=3, key=KEY)
    pull = 9.81 * np.stack([mass, mass * centre, np.zeros(3)], axis=1)
    values = (
        np.array(motions[1:]),
        np.eye(3)[[0, 0, 0]],
        np.array(weights),
        np.array(heights),
        np.array([0.0, 1.0, 0.0]),
        pull,
        np.full(3, -40.0),
    )
    model = eqx.tree_at(
        lambda m: (
            m.motions,
            m.axes,
            m.weights,
            m.heights,
            m.gravity,
            m.gradients,
            m.log_rotor,
        ),
        model,
        jax.device_put(values),
    )
    q, qd, qdd = random_state(2, 3)
    inverse = eqx.filter_jit(lambda body: body.inverse_dynamics(q, qd, qdd))
    close(inverse(model), inverse(chain), 2e-3)  # it keeps a little rotor inertia


def test_bad_arguments_are_refused():
    cases: list[dict[str, Any]] = [
        {"size": 0},
        {"initial_mass": -1.0},
        {"initial_mass": (1.0, 2.0)},
    ]
    for bad in cases:
        with pytest.raises(ValueError, match="must be"):
            ChainDeLaN(ANGLES, key=KEY, **bad)
