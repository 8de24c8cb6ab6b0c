"""Equations and rewards of users that are never finite."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna import State, UserError
from lagdyna.config import Known, check_functions
from lagdyna.config._user_functions import check_equations, check_reward
from lagdyna.mechanics import (
    AbstractGeneralLagrangian,
    Coordinates,
    FixedActuation,
    MechanicalSystem,
)
from lagdyna.systems import Pendulum
from lagdyna.tasks import Plant, get_task

rng = np.random.default_rng(0)
STATES = State(rng.normal(size=(20, 2)), rng.normal(size=(20, 2)))


class Springs(AbstractGeneralLagrangian):
    masses: jax.Array
    damping: float = 0.0

    def __call__(self, q, qd):
        return 0.5 * jnp.sum(self.masses * qd**2) - 0.5 * jnp.sum(q**2)


class OutOfDomain(Springs):
    def __call__(self, q, qd):
        return super().__call__(q, qd) + jnp.sqrt(-1 - jnp.sum(q**2))


class Root(Springs):
    def __call__(self, q, qd):
        return jnp.sqrt(-jnp.sum(qd**2))


def system(lagrangian) -> MechanicalSystem:
    return MechanicalSystem(
        lagrangian, Coordinates((False, False)), FixedActuation(((1.0,), (0.0,)))
    )


@pytest.mark.parametrize(
    ("lagrangian", "said"),
    [
        (Springs(jnp.array([1.0, 0.0])), r"singular mass matrix at q = .*coordinate 1 \(q1\)"),
        (Springs(jnp.array([0.0, 2.0])), r"singular mass matrix at q = .*coordinate 0 \(q0\)"),
        (OutOfDomain(jnp.array([1.0, 1.0])), "accelerations that are nan or infinite"),
        (Root(jnp.array([1.0, 1.0])), "a mass matrix with nan in every state"),
    ],
)
def test_equations_without_accelerations_are_refused(lagrangian, said) -> None:
    with pytest.raises(UserError, match=f"`model.known` .*{said}"):
        check_equations("model.known", system(lagrangian), STATES, 1)


def test_other_equations_are_accepted() -> None:
    check_equations("known", system(Springs(jnp.array([1.0, 2.0]))), STATES, 1)
    check_equations("known", system(Springs(jnp.array([1.0, 0.0]), damping=0.1)), STATES, 1)


def test_rewards_that_are_no_numbers_are_refused() -> None:
    check_reward(lambda state, action, after: -jnp.sum(state.q**2), STATES, 1)
    with pytest.raises(UserError, match=r"`reward` returns nan in every state .* q = \["):
        check_reward(lambda state, action, after: jnp.sqrt(-1 - state.q[0] ** 2), STATES, 1)
    with pytest.raises(UserError, match=r"`reward` returns values of shape \(2,\)"):
        check_reward(lambda state, action, after: state.q, STATES, 1)
    with pytest.raises(UserError, match="`reward` fails: TypeError"):
        check_reward(lambda state: 0.0, STATES, 1)


def test_functions_of_a_training_run_are_tried_within_its_range() -> None:
    plant = Plant.of_task(get_task("Pendulum-v1"))
    check_functions(plant, lambda state, action, after: jnp.log(state.q[0]), None)
    massless: Known = MechanicalSystem(
        Pendulum.rod(mass=0.0), Coordinates((True,)), FixedActuation(((1.0,),))
    )
    with pytest.raises(UserError, match=r"`known` has a singular mass matrix"):
        check_functions(plant.with_known(massless), None, "known")
