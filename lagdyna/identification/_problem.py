"""Everything that a fit needs, built from its config and its recordings."""

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from .._errors import UserError
from ..config import FitConfig, Known, given, with_equations
from ..data import Experience
from ..learners import (
    AbstractSquaredLoss,
    ForwardLoss,
    InverseLoss,
    Residual,
    ResidualLoss,
    SignalRows,
    SubstepsLoss,
    root_mean_square,
)
from ..mechanics import MechanicalSystem, State
from ..parts import RobotConfig, RobotResidualConfig, StepsLossConfig
from ..regressor import identified_start, is_linear
from ..simulate import is_solved
from ..systems import RobotModel
from ..tasks import Plant
from ._choices import USUAL_PRIOR, chosen_by_data, learns_forces
from ._data import PreparedData, digest_of, prepare, rows_of, with_layout
from ._pieces import size_notes
from ._robot_data import robot_notes, with_robot
from ._signals import (
    estimated_scale,
    has_memory,
    noise_of,
    noisy_scale,
    signal_notes,
    with_signals,
)
from ._sizes import Sizes, plant_of, sizes_of
from ._state import (
    FitState,
    begun,
    initial_state,
    learned_part,
    trainable_shapes,
    with_learned_part,
)
from ._structure import chain_start, with_structure

_ALL_USED = (
    "inertia and friction were identified from all recordings beside the test data, validation "
    "data included; judge by the test data"
)


class FitProblem(NamedTuple):
    """Model, loss and data of a fit.

    **Attributes:**

    - `config`: the resolved config.
    - `data`: the recordings.
    - `sizes`, `plant`: of the system that was recorded; the plant has the known equations.
    - `loss`: of the part of the model that it takes, its frozen parameters included.
    - `training`, `validation`: rows that the loss takes, with a leading axis.
    - `batch`: rows that are drawn for an update; `None` if every update uses all of them.
    - `rows`: number of distinct rows of training data. Windows overlap, so that they repeat
        steps.
    - `digest`: of the recordings, to notice when they change.
    """

    config: FitConfig
    data: PreparedData
    sizes: Sizes
    plant: Plant
    loss: AbstractSquaredLoss
    training: PyTree
    validation: PyTree
    batch: int | None
    rows: float
    digest: str


def fit_problem(
    config: FitConfig, *, known: Known | None = None, residual: Residual | None = None
) -> FitProblem:
    """Read the recordings of a fit, and build everything that depends on them.

    **Arguments:** `config`, resolved or not; `known`, `residual`, known equations in place of
    the config's.

    **Raises:** `UserError` if the config or the recordings cannot be used.
    """
    config = dataclasses.replace(config, data=with_layout(config.data))
    config, joints = with_robot(with_structure(config))
    data = prepare(config, joints)
    sizes = sizes_of(config, data)
    plant, recorded = plant_of(config, sizes), data.raw.training.fields
    config = config.resolved(plant, recorded)
    first = data.raw.training[0]
    states = None
    if first.qd is not None:
        states = State(jnp.asarray(first.q), jnp.asarray(first.qd))
    plant = with_equations(plant, config.model, known=known, residual=residual, states=states)
    data.notes.extend(robot_notes(data, plant.known))
    system = plant.known
    robot = isinstance(system, MechanicalSystem) and isinstance(system.lagrangian, RobotModel)
    if robot and learns_forces(config):
        rows = rows_of(config.loss, data, data.raw.training)
        model = chosen_by_data(config, plant, rows, np.asarray(force_scale(plant, rows)))
        config = dataclasses.replace(config, model=model)
        plant = with_equations(plant, model, known=known, residual=residual)
    shapes = trainable_shapes(config, plant)
    config = config.resolved(plant, recorded, [shapes])
    even = isinstance(config.loss, StepsLossConfig) or has_memory(config)
    trajectories = data.steps if even else data.raw
    training, validation = (rows_of(config.loss, data, part) for part in trajectories)
    scale = plant.step_scale
    assert scale is not None
    if config.signals.noise:
        scale = noisy_scale(scale, noise_of(data), data.dt)
    if data.estimated and getattr(config.loss, "estimate_start", False):
        scale = estimated_scale(scale)
    scaled = plant._replace(step_scale=scale)
    loss, rows = _loss(config, scaled, training), distinct_rows(training)
    data.notes.extend(size_notes(training, validation, rows, shapes))
    data.notes.extend(signal_notes(config))
    both = (training, validation)
    loss, training, validation = with_signals(config, data, plant, trajectories, loss, both)
    batch = config.learner.batch
    if config.learner.same_batch:
        training, batch = some_rows(training, given(batch), config.seed), None
    digest = digest_of(data)
    return FitProblem(
        config, data, sizes, plant, loss, training, validation, batch, rows, digest
    )


def starting_state(problem: FitProblem) -> FitState:
    """Build the model and the state of its learner before the first update.

    The parameters of a robot are those of least force error already, where forces and
    accelerations were recorded.

    **Raises:** `UserError` if the learner would not fit into memory.
    """
    config, state = problem.config, initial_state(problem.config, problem.plant)
    model, known = config.model, problem.plant.known
    state = chain_start(config, problem.loss, problem.training, state)
    if not isinstance(model, RobotConfig | RobotResidualConfig) or known is None:
        return state
    if isinstance(config.loss, StepsLossConfig) or not isinstance(known.lagrangian, RobotModel):
        return state
    prior = model.prior or USUAL_PRIOR[model.inertia]
    part = learned_part(config.loss, state.transition)
    scale = force_scale(problem.plant, problem.training)
    fixed = config.model.fixed_parameters()
    residual = isinstance(model, RobotResidualConfig)
    fixed = () if residual else fixed
    rows = problem.training
    if problem.data.test is not None and is_linear(part):
        # Nothing is stopped or chosen by the validation data.
        rows = jax.tree.map(
            lambda a, b: jnp.concatenate([a, b]), problem.training, problem.validation
        )
        problem.data.notes.append(_ALL_USED)
    size = getattr(model, "residual_size", None) or 1.0
    part = identified_start(rows, part, scale, prior=prior, extra=size, fixed=fixed)
    transition = with_learned_part(config.loss, state.transition, part)
    network = residual and model.form != "potential"
    solved = is_linear(part) and not network
    return begun(config, transition, state.learner_state, solved=solved)


def force_scale(plant: Plant, training: Any) -> Float[Array, " n"]:
    """Compute the root mean square of each recorded force."""
    rows = training.rows if isinstance(training, SignalRows) else training
    assert plant.units is not None
    force = jax.vmap(plant.actuation)(rows.state.q, rows.action)
    return root_mean_square(force, unit=jnp.asarray(plant.units.force))


def _loss(config: FitConfig, plant: Plant, training: Any) -> AbstractSquaredLoss:
    """Build the loss, its scales measured on the training data."""
    if not isinstance(config.loss, StepsLossConfig):
        units = plant.units
        assert units is not None
        if config.loss.name == "forward":
            return ForwardLoss(
                root_mean_square(training.qdd, unit=jnp.asarray(units.acceleration))
            )
        # The recorded force is that of the action through the known map.
        return InverseLoss(force_scale(plant, training))
    assert plant.step_scale is not None
    loss = _with_substeps(config.loss.build(plant.step_scale), config, plant)
    if isinstance(training, Experience):  # no model constrains windows
        loss = config.model.constrain(loss, plant, training)
        if isinstance(loss, ResidualLoss) and not np.isfinite(loss.scale).all():
            raise UserError(
                "the equations of `model.residual` or `model.known` give nan on the training "
                "data; finite residuals are accepted"
            )
    return loss


def _with_substeps(
    loss: AbstractSquaredLoss, config: FitConfig, plant: Plant
) -> AbstractSquaredLoss:
    """Give the loss its own number of solver substeps, if it differs from the solver's.

    **Raises:** `UserError` if the model has no solver.
    """
    assert isinstance(config.loss, StepsLossConfig)
    solver, substeps = config.solver, config.loss.substeps
    if solver is None or substeps is None or substeps == solver.substeps:
        return loss
    key = jax.random.key(0)
    built = eqx.filter_eval_shape(lambda: config.model.transition(plant, solver, key))
    if not is_solved(built):
        raise UserError(
            f"`loss.substeps` was {substeps}, and the model {config.model.name!r} does not use "
            "the solver; leave it out"
        )
    return SubstepsLoss(loss, substeps)


def distinct_rows(training: PyTree) -> float:
    """Count the rows of data; steps that several windows share count once."""
    rows = jax.tree.leaves(training)[0].shape[0]
    if isinstance(training, tuple) and not isinstance(training, Experience):
        windows, mask = training
        parts = (*windows.state, windows.action, *windows.next_state)
        steps = np.concatenate([np.asarray(x)[np.asarray(mask) > 0] for x in parts], axis=1)
        return rows * len(np.unique(steps, axis=0)) / len(steps)
    return float(rows)


def some_rows(rows: PyTree, count: int, seed: int) -> PyTree:
    """Choose at most `count` rows at random, without changing their order."""
    total = jax.tree.leaves(rows)[0].shape[0]
    if total <= count:
        return rows
    chosen = np.sort(np.random.default_rng(seed).choice(total, count, replace=False))
    return jax.tree.map(lambda x: x[chosen], rows)
