"""Natural units that follow from the ranges and forces of a task."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna.mechanics import (
    CoulombDissipation,
    QuadraticDissipation,
    StribeckDissipation,
    SumDissipation,
    ViscousDissipation,
)
from lagdyna.options import DissipationName
from lagdyna.tasks import TASKS, CoordinateSpec, Plant, TaskSpec

CART = TaskSpec(
    env_id="Cart",
    coordinates=(
        CoordinateSpec(
            kind="linear", position=0, velocity=1, velocity_range=3.0, position_range=2.0
        ),
        CoordinateSpec(kind="angle", position=2, velocity=3, velocity_limit=8.0),
    ),
    dt=0.04,
    force=((10.0,), (0.0,)),
)


def scaled(mass: float, length: float, time: float) -> TaskSpec:
    """The same task in other sizes."""
    cart, pole = CART.coordinates
    return dataclasses.replace(
        CART,
        coordinates=(
            dataclasses.replace(
                cart, velocity_range=3.0 * length / time, position_range=2 * length
            ),
            dataclasses.replace(pole, velocity_limit=8 / time),
        ),
        dt=CART.dt * time,
        force=((10.0 * mass * length / time**2,), (0.0,)),
    )


@pytest.mark.parametrize("task", ["Pendulum-v1", "pendulum", "acrobot", "cart3pole"])
def test_tasks_of_human_size_are_learned_in_si_units(task):
    assert Plant.of_task(TASKS[task]).units is None


@pytest.mark.parametrize("sizes", [(1e-4, 1.0, 1.0), (1.0, 1e-4, 1e-2), (1e4, 1e2, 1e2)])
def test_a_task_of_another_size_is_the_same_in_natural_units(sizes, x64):
    """So a model of it is built, solved and learned as that of the task of human size."""
    expected, plant = Plant.of_task(CART), Plant.of_task(scaled(*sizes))
    assert expected.units is None
    assert plant.units is not None
    natural = plant.natural()
    for name in ("dt", "velocity_scale", "acceleration_scale", "velocity_limits"):
        np.testing.assert_allclose(getattr(natural, name), getattr(expected, name))
    np.testing.assert_allclose(natural.range, expected.range)
    q, action = jnp.array([0.3, 0.2]), jnp.array([0.7])
    np.testing.assert_allclose(natural.actuation(q, action), expected.actuation(q, action))
    np.testing.assert_allclose(natural.initial_mass(None), (1.0, 1.0))
    mass, length, _ = sizes
    np.testing.assert_allclose(
        natural.initial_mass(2.0), (2.0 / mass, 2.0 / (mass * length**2)), rtol=1e-9
    )


def test_learned_friction_starts_as_small_as_in_natural_units():
    plant, small = Plant.of_task(CART), Plant.of_task(scaled(1e-4, 1e-2, 1.0))
    q, qd = jnp.zeros(2), jnp.array([1.0, 2.0])
    assert small.units is not None
    expected = plant.friction("both")(q, qd)
    found = small.friction("both")(q, qd * jnp.asarray(small.units.velocity))
    np.testing.assert_allclose(found, expected * jnp.asarray(small.units.force), rtol=1e-5)


def test_names_of_friction_add_parts():
    plant = Plant.of_task(CART)
    both = [ViscousDissipation, CoulombDissipation]
    assert friction_parts(plant, "both") == both
    assert friction_parts(plant, "stribeck") == [*both, StribeckDissipation]
    assert friction_parts(plant, "all") == [*both, StribeckDissipation, QuadraticDissipation]


def friction_parts(plant: Plant, name: DissipationName) -> list[type]:
    friction = plant.friction(name)
    assert isinstance(friction, SumDissipation)
    return [type(part) for part in friction.parts]
