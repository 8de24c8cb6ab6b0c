import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna import State
from lagdyna.learners import OneStepLoss, SubstepsLoss
from lagdyna.simulate import LagrangianField, SolvedTransition
from lagdyna.tasks import SuiteTask, suite_task

from .recordings import errors_of, held_actions, loss_of

REPEAT = 4


@pytest.fixture(scope="module")
def task() -> SuiteTask:
    return suite_task("acrobot")


@pytest.fixture(scope="module")
def transition(task: SuiteTask) -> SolvedTransition:
    """The true equations in one step of Heun's method, four of the task's."""
    field = LagrangianField(task.system)
    return SolvedTransition(field, task.system.coordinates, REPEAT * task.dt)


def test_it_is_the_loss_of_a_transition_with_these_substeps(
    task: SuiteTask, transition: SolvedTransition
) -> None:
    loss, batch = OneStepLoss(State(jnp.ones(2), jnp.ones(2))), held_actions(task, 8, REPEAT)
    finer = dataclasses.replace(transition, substeps=3)
    substeps = SubstepsLoss(loss, 3)
    pairs = zip(
        errors_of(substeps, transition, batch), errors_of(loss, finer, batch), strict=True
    )
    for found, known in pairs:
        np.testing.assert_array_equal(found, known)


def test_short_substeps_remove_the_error_of_the_solver(
    task: SuiteTask, transition: SolvedTransition
) -> None:
    """Heun's error falls as the square of the step; its square as the fourth power."""
    loss = OneStepLoss(State(jnp.ones(2), jnp.ones(2)))
    batch = held_actions(task, 256, REPEAT)
    long = loss_of(loss, transition, batch)
    short = loss_of(SubstepsLoss(loss, REPEAT), transition, batch)
    assert 0 < short < long / 100
