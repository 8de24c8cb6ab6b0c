"""Learning of a part of a model."""

import equinox as eqx
import jax
import numpy as np
import pytest

from lagdyna import UserError
from lagdyna.learners import FrozenLoss, OneStepLoss, partition, trainable
from lagdyna.mechanics import Coordinates, State
from lagdyna.models import RewardNetwork, softplus
from lagdyna.simulate import LagrangianField, MLPTransition, SolvedTransition
from lagdyna.tasks import suite_task

from ..helpers import close, identical
from .recordings import errors_of, held_actions

gradient_of = eqx.filter_jit(lambda loss, model, batch: eqx.filter_grad(loss)(model, batch))


def leaves(model: object) -> int:
    return len(jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array)))


def test_named_parameters_are_frozen():
    system = suite_task("acrobot").system
    free, frozen = partition(system, ("gravity", "lagrangian.length"))
    assert free.lagrangian.gravity is None
    assert free.lagrangian.length is None
    identical(frozen.lagrangian.gravity, system.lagrangian.gravity)
    identical(frozen.lagrangian.length, system.lagrangian.length)
    assert leaves(free) == leaves(system) - 2
    identical(eqx.combine(free, frozen), system)
    assert leaves(trainable(system, ("all",))) == 0
    assert leaves(trainable(system)) == leaves(system)


def test_an_unknown_parameter_is_refused_and_the_others_are_listed():
    with pytest.raises(
        UserError, match=r"was \['mass_of_all'\]; accepted: all, or some of lag"
    ):
        partition(suite_task("acrobot").system, ("mass_of_all",))


def test_scales_that_are_set_from_data_are_frozen():
    angle = Coordinates((True,))
    options = {"hidden": (4,), "activation": softplus, "key": jax.random.key(0)}
    reward = RewardNetwork(angle, 1, (1.0,), **options)
    step = MLPTransition(angle, 1, velocity_scale=(1.0,), **options)
    for model, scales in ((reward, 2), (step, 2)):
        assert leaves(trainable(model)) == leaves(model) - scales
    assert partition(reward)[0].scale is None
    assert partition(step)[0].scale.q is None


def test_the_loss_of_the_free_part_is_that_of_the_whole():
    task = suite_task("acrobot")
    field = LagrangianField(task.system)
    # The solver whose programs compile fastest.
    transition = SolvedTransition(field, task.system.coordinates, task.dt, solver="euler")
    batch = held_actions(task, 4, 2)
    loss = OneStepLoss(jax.device_put(State(np.ones(2), np.ones(2))))
    free, frozen = partition(transition, ("gravity",))
    part = FrozenLoss(loss, frozen)
    found, expected = errors_of(part, free, batch), errors_of(loss, transition, batch)
    assert found[0] > 0
    identical(found, expected)
    gradient = gradient_of(part, free, batch)
    whole = gradient_of(loss, transition, batch)
    assert gradient.field.system.lagrangian.gravity is None
    close(gradient.field.system.lagrangian.length, whole.field.system.lagrangian.length, 1e-6)
