import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna import State
from lagdyna.data import Experience
from lagdyna.experiments import LearnerConfig, SolverConfig, Trainer, config_from_table
from lagdyna.experiments._stepped import SteppedLoss
from lagdyna.learners import OneStepLoss
from lagdyna.simulate import LagrangianField, SolvedTransition
from lagdyna.tasks import SuiteTask, suite_task

REPEAT = 4


@pytest.fixture(scope="module")
def task() -> SuiteTask:
    return suite_task("acrobot")


@pytest.fixture(scope="module")
def transition(task: SuiteTask) -> SolvedTransition:
    """The true equations in one step of Heun's method, four of the task's."""
    field = LagrangianField(task.system)
    return SolvedTransition(field, task.system.coordinates, REPEAT * task.dt)


def held(task: SuiteTask, rows: int) -> Experience:
    """What actions do that are held for four steps, from states of a swing."""
    q, qd, action = jax.random.uniform(jax.random.key(0), (3, rows, 2), minval=-1, maxval=1)
    state, action = State(jnp.pi * q, 5 * qd), action[:, :1]
    after = state
    for _ in range(REPEAT):
        after = jax.vmap(task.advance)(after, action)
    nothing = jnp.zeros(rows)
    return Experience(state, action, nothing, after, nothing.astype(bool))


def test_it_is_the_loss_of_the_transition_that_takes_such_steps(
    task: SuiteTask, transition: SolvedTransition
) -> None:
    loss, batch = OneStepLoss(State(jnp.ones(2), jnp.ones(2))), held(task, 8)
    finer = dataclasses.replace(transition, substeps=3)
    stepped, row = SteppedLoss(loss, 3), jax.tree.map(lambda x: x[0], batch)
    assert stepped(transition, batch) == loss(finer, batch)
    for found, known in (
        (stepped.errors(transition, row), loss.errors(finer, row)),
        (stepped.observed_errors(transition, row), loss.observed_errors(finer, row)),
    ):
        np.testing.assert_array_equal(found, known)


def test_the_true_equations_are_right_in_short_steps_and_wrong_in_long_ones(
    task: SuiteTask, transition: SolvedTransition
) -> None:
    """Heun's error falls as the square of the step; its square as the fourth power."""
    loss, batch = OneStepLoss(State(jnp.ones(2), jnp.ones(2))), held(task, 256)
    long = loss(transition, batch)
    short = SteppedLoss(loss, REPEAT)(transition, batch)
    assert 0 < short < long / 100


@pytest.mark.parametrize(
    ("table", "learned", "imagined"),
    [
        ({}, 4, 2),
        ({"solver": {"substeps": 5}}, 5, 5),
        ({"learner": {"substeps": 1}}, 1, 2),
    ],
)
def test_by_default_there_is_one_for_each_step_of_the_environment(
    table: dict[str, dict[str, int]], learned: int, imagined: int
) -> None:
    config = Trainer(config_from_table({"task": "acrobot", **table})).config
    assert config.learner == dataclasses.replace(
        LearnerConfig(updates=2000, batch=64, decay=0.1), substeps=learned
    )
    assert config.solver == SolverConfig(substeps=imagined)
