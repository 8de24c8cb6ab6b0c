"""Arguments of learned models: single states, also as lists; batches are refused."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna import State
from lagdyna.mechanics import Coordinates, FixedActuation, MechanicalSystem
from lagdyna.simulate import LagrangianField, LearnedModel, SolvedTransition
from lagdyna.systems import Pendulum
from lagdyna.training._trainer import check_batch

ANGLE = Coordinates((True,))
SYSTEM = MechanicalSystem(Pendulum.rod(), ANGLE, FixedActuation(((1.0,),)))
MODEL = LearnedModel(SolvedTransition(LagrangianField(SYSTEM), ANGLE, 0.05))
Q = jnp.array([0.3])


@pytest.mark.parametrize("q", [[0.3], np.array([0.3]), (0.3,), Q])
def test_lists_and_arrays_are_vectors(q) -> None:
    assert MODEL.mass_matrix(q, q) == MODEL.mass_matrix(Q, Q)
    assert MODEL.energy(q, q) == MODEL.energy(Q, Q)
    assert MODEL.forward_dynamics(q, q, q) == MODEL.forward_dynamics(Q, Q, Q)
    assert MODEL.inverse_dynamics(q, q, q) == MODEL.inverse_dynamics(Q, Q, Q)
    assert MODEL.forces(q, q, q) == MODEL.forces(Q, Q, Q)


@pytest.mark.parametrize(
    ("q", "said"),
    [
        (jnp.zeros((5, 1)), r"`q` has shape \(5, 1\); a vector of shape \(1,\).*jax.vmap"),
        (jnp.zeros(2), r"`q` has shape \(2,\); a vector of shape \(1,\) is accepted$"),
        (0.3, r"`q` has shape \(\); a vector of shape \(1,\)"),
        (["a"], r"`q` was of type list; a vector"),
    ],
)
def test_other_shapes_are_refused(q, said) -> None:
    for method in (MODEL.mass_matrix, MODEL.energy):
        with pytest.raises(ValueError, match=said):
            method(q, Q)
    for method in (MODEL.inverse_dynamics, MODEL.forces):
        with pytest.raises(ValueError, match=said):
            method(q, Q, Q)
    with pytest.raises(ValueError, match=said):
        MODEL.forward_dynamics(q, Q, Q)


def test_vmap_gives_a_batch() -> None:
    assert jax.vmap(MODEL.mass_matrix)(jnp.zeros((5, 1)), jnp.zeros((5, 1))).shape == (5, 1, 1)


def test_states_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`state.q` has shape \(2,\)"):
        MODEL.step(State(jnp.zeros(2), jnp.zeros(2)), jnp.zeros(1))


def test_systems_refuse_batches() -> None:
    energy = inspect.unwrap(MechanicalSystem.energy)
    with pytest.raises(ValueError, match=r"`qd` has shape \(5, 1\); .*jax.vmap"):
        energy(SYSTEM, Q, jnp.zeros((5, 1)))
    with pytest.raises(ValueError, match=r"`q` was of type list; an array of shape \(1,\)"):
        energy(SYSTEM, [0.3], Q)


def test_a_policy_takes_batches_of_states() -> None:
    batch = jnp.zeros((3, 1))
    check_batch(State(batch, batch), 1)
    with pytest.raises(ValueError, match=r"of shape \(3,\); a lagdyna.State .*read_state"):
        check_batch(jnp.zeros(3), 1)
    with pytest.raises(ValueError, match=r"`states.q` has shape \(1,\); shape \(batch, 1\)"):
        check_batch(State(Q, Q), 1)
