"""Coordinates of a learner: positive parameters stay positive."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna import UserError
from lagdyna.learners import Parametrisation, physical, received
from lagdyna.mechanics import (
    CoulombDissipation,
    MechanicalSystem,
    QuadraticDissipation,
    ScaledDissipation,
    StribeckDissipation,
    SumDissipation,
    Units,
    ViscousDissipation,
    physical_parameters,
)
from lagdyna.systems import Pendulum, PlanarChain

from ..helpers import pendulum_system


class Spring(Pendulum):
    """A user's own: stiffness must be positive, the offset need not."""

    stiffness: jax.Array
    offset: jax.Array

    positive_parameters = ("stiffness",)


def spring(stiffness: float = 3.0) -> Spring:
    one = jnp.asarray(1.0)
    return Spring(one, one, one, 0.5, 1 / 3, jnp.asarray(stiffness), jnp.asarray([-2.0, 1.0]))


def test_positive_parameters_stay_positive_wherever_a_learner_goes() -> None:
    model = spring()
    units = jax.tree.map(lambda x: jnp.full_like(x, 2.0), eqx.filter(model, eqx.is_array))
    coordinates = Parametrisation.of(model, units)
    start = received(model, coordinates)
    np.testing.assert_allclose([start.stiffness, start.gravity], [0.0, 0.5])
    np.testing.assert_allclose(start.offset, [-1.0, 0.5])
    moved = jax.tree.map(lambda x: x - 4.0, eqx.filter(start, eqx.is_array))
    found = physical(eqx.combine(moved, start), coordinates)
    np.testing.assert_allclose(found.stiffness, 3 * np.exp(-4.0), rtol=1e-6)
    np.testing.assert_allclose(found.offset, [-10.0, -7.0])
    back = received(found, coordinates)
    for a, b in zip(jax.tree.leaves(back), jax.tree.leaves(moved), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("stiffness", [0.0, -0.5])
def test_a_start_that_is_not_positive_is_one_sentence(stiffness: float) -> None:
    model = spring(stiffness)
    units = jax.tree.map(jnp.ones_like, eqx.filter(model, eqx.is_array))
    with pytest.raises(UserError, match=f"`stiffness` starts at {stiffness}, and it must"):
        Parametrisation.of(model, units)


def test_the_parameters_of_a_system_are_named_and_physical() -> None:
    chain = PlanarChain.rods(2)
    chain = eqx.tree_at(lambda c: c.armature, chain, jnp.ones(2), is_leaf=lambda x: x is None)
    some = jnp.asarray([0.3, 0.2])
    friction = SumDissipation(
        (
            ViscousDissipation(some),
            CoulombDissipation(some),
            StribeckDissipation(some, some),
            QuadraticDissipation(some),
        )
    )
    # Forces of 5 J over 1 rad, velocities of 1 rad over 0.5 s.
    units = Units(time=0.5, energy=5.0, position=(1.0, 1.0), origin=(0.0, 0.0), action=())
    actuation = pendulum_system().actuation
    system = MechanicalSystem(
        chain, chain.coordinates, actuation, ScaledDissipation(friction, units)
    )
    found = physical_parameters(system)
    positive = {each.name for each in found if each.positive}
    assert positive == {f"lagrangian.{x}" for x in ("mass", "length", "inertia", "armature")}
    coefficients = {
        each.name: np.asarray(each.value / some).tolist()
        for each in found
        if each.name.startswith("dissipation")
    }
    assert coefficients == {
        "dissipation.viscous": pytest.approx([2.5, 2.5]),
        "dissipation.coulomb": pytest.approx([5.0, 5.0]),
        "dissipation.stribeck": pytest.approx([5.0, 5.0]),
        "dissipation.stribeck_speed": pytest.approx([2.0, 2.0]),
        "dissipation.quadratic": pytest.approx([1.25, 1.25]),
    }
    # The order is that of the trainable arrays.
    leaves = jax.tree.leaves(eqx.filter(system, eqx.is_inexact_array))
    assert [each.value.shape for each in found] == [leaf.shape for leaf in leaves]
