"""Known equations plus a learned residual force, as in PhIHP (Asri et al. 2024)."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from lagdyna.config import CollectConfig, Config, given
from lagdyna.data import Experience
from lagdyna.learners import OneStepLoss, step_scale
from lagdyna.parts import AdamConfig, ResidualConfig
from lagdyna.simulate import AbstractTransition, LagrangianField, SolvedTransition
from lagdyna.tasks import get_task, known_equations
from lagdyna.training import OneSeed, Trainer, TrainingState, make_environment_loop

from .. import environments as environments  # registers them

FRICTIONLESS = get_task("Pendulum-v1")
TASK = dataclasses.replace(FRICTIONLESS, env_id="lagdyna-tests/DampedPendulum-v0")
STEPS = 400
CONFIG = Config(
    task=TASK,
    steps=STEPS,
    model=ResidualConfig(hidden=(32,)),
    # The integration of the environment itself, so that friction alone is missing.
    solver="semi_implicit_euler",
    learner=AdamConfig(updates=600, batch=64),
    collect=CollectConfig(random_steps=STEPS),
)


def collected(trainer: Trainer) -> TrainingState:
    """Two episodes of random actions in the pendulum with friction."""
    seeds = OneSeed(trainer)
    loop, steps = make_environment_loop(seeds), np.asarray([STEPS])
    training, _ = loop.collect(
        seeds.start(), steps, steps, np.asarray([True]), lambda done: None
    )
    loop.close()
    return training


def test_a_residual_learns_the_friction_that_the_known_equations_omit() -> None:
    known = given(known_equations(FRICTIONLESS))
    trainer = Trainer(CONFIG, reward=lambda state, action, _: jnp.cos(state.q[0]), known=known)
    training = trainer.begin_phase(collected(trainer))
    training, metrics = trainer.fit(training, jnp.asarray(0), 600)
    assert float(metrics["model_skipped"]) == 0

    held_out = collected(trainer.with_seed(1)).buffer.experience
    learned = given(training.world).transition
    assert isinstance(learned, SolvedTransition)
    alone = dataclasses.replace(learned, field=LagrangianField(known))
    assert error(learned, held_out) < 0.02 * error(alone, held_out)

    # The known equations themselves do not change, and the residual is the friction.
    leaves = (
        jax.tree.leaves(eqx.filter(x, eqx.is_array))
        for x in (
            known,
            learned.field.dynamics.known,  # pyright: ignore
        )
    )
    for before, after in zip(*leaves, strict=True):
        np.testing.assert_array_equal(before, after)


@eqx.filter_jit
def error(transition: AbstractTransition, experience: Experience) -> jax.Array:
    """The mean of the squared one-step errors, in units of the usual change of a state."""
    scale = step_scale(experience, transition.coordinates)
    return OneStepLoss(scale)(transition, experience)
