import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna import State
from lagdyna.learners import OneStepLoss, SubstepsLoss
from lagdyna.simulate import LagrangianField, SolvedTransition
from lagdyna.tasks import SuiteTask, suite_task

from .recordings import held_actions

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
    substeps, row = SubstepsLoss(loss, 3), jax.tree.map(lambda x: x[0], batch)
    assert substeps(transition, batch) == loss(finer, batch)
    for found, known in (
        (substeps.errors(transition, row), loss.errors(finer, row)),
        (substeps.observed_errors(transition, row), loss.observed_errors(finer, row)),
    ):
        np.testing.assert_array_equal(found, known)


def test_short_substeps_remove_the_error_of_the_solver(
    task: SuiteTask, transition: SolvedTransition
) -> None:
    """Heun's error falls as the square of the step; its square as the fourth power."""
    loss = OneStepLoss(State(jnp.ones(2), jnp.ones(2)))
    batch = held_actions(task, 256, REPEAT)
    long = loss(transition, batch)
    short = SubstepsLoss(loss, REPEAT)(transition, batch)
    assert 0 < short < long / 100
