"""The untrained model of a fit, from its config and a few facts of its data."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from ..learners import root_mean_square, step_scale
from ..mechanics import (
    AbstractActuation,
    AbstractLagrangian,
    FixedActuation,
    LearnedActuation,
    MechanicalSystem,
    State,
)
from ..models import HNN, NeuralODE, ResidualForce, StructuredHNN
from ..simulate import (
    AbstractTransition,
    AccelerationField,
    HamiltonianField,
    LagrangianField,
    SolvedTransition,
)
from ._errors import UserError
from ._fit_config import FitConfig
from ._fit_data import Control, Prepared, coordinates_of, experience_of
from ._fitted_model import FittedModel
from ._models import make_lagrangian, make_mlp, network_options
from ._parts import make_dissipation
from ._user_part import fitting_system, user_part


class Sizes(NamedTuple):
    """What of the data shapes a model: with the config, all that is needed to build one.

    **Attributes:**

    - `n`, `actions`: how many coordinates and how wide the control.
    - `control`: which array it is.
    - `dt`: of the model's step, seconds.
    - `speeds`: root mean square of each velocity.
    - `steps_q`, `steps_qd`: root mean square change of each coordinate and velocity in `dt`.
    """

    n: int
    actions: int
    control: Control
    dt: float
    speeds: tuple[float, ...]
    steps_q: tuple[float, ...]
    steps_qd: tuple[float, ...]


def sizes_of(data: Prepared) -> Sizes:
    """Those of the training data."""
    experience = experience_of(data, data.steps.training)
    change = step_scale(experience, data.coordinates)
    speeds, steps_q, steps_qd = (
        tuple(np.asarray(x, np.float64).tolist())
        for x in (root_mean_square(experience.state.qd), change.q, change.qd)
    )
    return Sizes(
        n=data.coordinates.n,
        actions=data.actions,
        control=data.control,
        dt=data.dt,
        speeds=speeds,
        steps_q=steps_q,
        steps_qd=steps_qd,
    )


Known = MechanicalSystem | AbstractLagrangian


def known_system(
    config: FitConfig, sizes: Sizes, given: Known | None
) -> MechanicalSystem | None:
    """The system that a config or a caller gives, `None` if neither does.

    **Raises:** `UserError` if the model needs one and there is none, or it does not fit the
    data.
    """
    name = config.model.name
    if given is None and config.model.known is not None:
        given = user_part("model.known", config.model.known)
    if given is None:
        if name in ("known", "residual"):
            raise UserError(
                f"`model.name` was {name!r}, which needs `model.known`, the system as "
                "FILE.py:NAME"
            )
        return None
    if isinstance(given, AbstractLagrangian):
        given = MechanicalSystem(
            given,
            coordinates_of(config, sizes.n),
            _actuation(config, sizes),
            make_dissipation(config.model.dissipation, sizes.n),
        )
    return fitting_system(given, config.model.known, sizes.n, sizes.actions, "the data")


def build(
    config: FitConfig, sizes: Sizes, key: PRNGKeyArray, known: MechanicalSystem | None
) -> AbstractTransition:
    """The untrained transition that a config names, for data of these sizes.

    **Arguments:** `known`, what `known_system` gave.

    **Raises:** `UserError` if the solver cannot solve the model.
    """
    model, coordinates = config.model, coordinates_of(config, sizes.n)
    options = network_options(model, key)
    if model.name in ("mlp", "constrained-mlp"):
        scale = State(jnp.asarray(sizes.steps_q), jnp.asarray(sizes.steps_qd))
        return make_mlp(model, coordinates, sizes.actions, sizes.speeds, key, scale=scale)
    if model.name == "neural-ode":
        dynamics = NeuralODE(
            coordinates,
            sizes.actions,
            velocity_scale=sizes.speeds,
            acceleration_scale=tuple(change / sizes.dt for change in sizes.steps_qd),
            **options,
        )
        field = AccelerationField(dynamics)
    elif model.name == "known":
        assert known is not None
        field = LagrangianField(known)
    elif model.name == "residual":
        assert known is not None
        field = AccelerationField(ResidualForce(known, sizes.actions, **options))
    else:
        actuation = _actuation(config, sizes)
        dissipation = make_dissipation(model.dissipation, sizes.n)
        if model.name in ("delan", "lnn"):
            lagrangian = make_lagrangian(model, coordinates, sizes.speeds, key)
            field = LagrangianField(
                MechanicalSystem(lagrangian, coordinates, actuation, dissipation)
            )
        else:
            hamiltonian = (
                HNN(coordinates, **options)
                if model.name == "hnn"
                else StructuredHNN(coordinates, initial_mass=model.initial_mass, **options)
            )
            field = HamiltonianField(hamiltonian, actuation, dissipation)
    try:
        return SolvedTransition(
            field,
            coordinates,
            sizes.dt,
            solver=config.solver.name,
            substeps=config.solver.substeps or 1,
            tolerances=config.solver.tolerances,
        )
    except ValueError as error:
        raise UserError(str(error)) from error


def learned_part(loss_name: str, transition: AbstractTransition) -> Any:
    """The part of a transition that a loss is about."""
    if loss_name in ("forward", "inverse"):
        return FittedModel(transition).dynamics
    return transition


def with_learned_part(loss_name: str, transition: AbstractTransition, part: Any) -> Any:
    """The transition with that part in its place."""
    if loss_name not in ("forward", "inverse"):
        return part
    if isinstance(part, MechanicalSystem):
        return eqx.tree_at(lambda t: t.field.system, transition, part)
    return eqx.tree_at(lambda t: t.field.dynamics, transition, part)


def _actuation(config: FitConfig, sizes: Sizes) -> AbstractActuation:
    n, m, force = sizes.n, sizes.actions, config.data.force
    if sizes.control != "action":
        return FixedActuation(tuple(tuple(float(i == j) for j in range(m)) for i in range(n)))
    if force is None:
        return LearnedActuation(jnp.eye(n, m))
    if len(force) != n or {len(row) for row in force} != {m}:
        raise UserError(
            f"`data.force` was {[list(row) for row in force]}; {n} rows of {m} numbers, one "
            "row for each coordinate, are accepted"
        )
    return FixedActuation(force)
