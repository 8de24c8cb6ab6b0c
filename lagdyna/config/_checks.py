"""Rules between the parts of a config."""

from typing import TypeVar

import msgspec

from .._errors import UserError
from ..parts import (
    MODELS,
    AutoLossConfig,
    DynamicsConfig,
    LearnerConfig,
    LossConfig,
    OneStepLossConfig,
    SolverConfig,
    StepsLossConfig,
)
from ..tasks import TaskSpec

Option = TypeVar("Option")


def given(value: Option | None) -> Option:
    """Unwrap an option of a resolved config."""
    assert value is not None, "the config was not resolved"
    return value


def check_loss(
    loss: LossConfig | None,
    learner: LearnerConfig | None,
    model: DynamicsConfig | None,
    solver: SolverConfig | None,
) -> None:
    """Refuse a loss that the learner, the model or the solver cannot have.

    **Raises:** `UserError` if that is so.
    """
    if not isinstance(loss, StepsLossConfig):
        return
    squared = (learner is not None and learner.squared) or (
        model is not None and model.constrained
    )
    if loss.norm == "pseudo-huber" and squared:
        needs = learner.name if learner is not None and learner.squared else given(model).name
        raise UserError(
            f"`loss.norm` was 'pseudo-huber', and {needs} needs a sum of squares; squared is "
            "accepted"
        )
    if loss.substeps is not None and model is not None and model.discrete:
        raise UserError(
            f"`loss.substeps` was {loss.substeps} with the model {model.name!r}, which "
            "predicts whole steps and uses no solver; leave it out, or choose another model"
        )
    if loss.substeps is not None and solver is not None and solver.adaptive:
        raise UserError(
            f"`loss.substeps` was {loss.substeps} with `solver.rtol` and `solver.atol`, which "
            "choose the steps; either is accepted"
        )


def check_solver(model: DynamicsConfig, solver: SolverConfig | None) -> None:
    """Refuse a solver for a model that uses none.

    **Raises:** `UserError` if that is so.
    """
    if solver is not None and model.discrete:
        others = [name for name, each in MODELS.variants.items() if not each.discrete]  # pyright: ignore[reportAttributeAccessIssue]
        raise UserError(
            f"`solver` was {solver.name!r} with the model {model.name!r}, which predicts whole "
            f"steps and uses no solver; models with a solver are {', '.join(others)}"
        )


def check_model(
    model: DynamicsConfig, solver: SolverConfig | None, loss: LossConfig | None, task: TaskSpec
) -> None:
    """Refuse options of a training run that its model cannot have.

    **Raises:** `UserError` if that is so.
    """
    check_solver(model, solver)
    constrained = model.constrained
    window = isinstance(loss, StepsLossConfig) and loss.length > 1
    if constrained and (window or task.context):
        what = "windows of several steps" if window else "a task with a `context`"
        raise UserError(
            f"`model.name` was {model.name!r}, whose equations are of single steps of the "
            f"coordinates that move; {what} are not accepted with it"
        )


def resolved_loss(
    loss: LossConfig | None,
    learner: LearnerConfig,
    model: DynamicsConfig,
    solver: SolverConfig | None,
    task: TaskSpec,
) -> LossConfig:
    """Fill the options of a training run's loss that were left open."""
    if loss is None or isinstance(loss, AutoLossConfig):
        loss = OneStepLossConfig()
    if not isinstance(loss, StepsLossConfig):
        return loss
    squared = learner.squared or model.constrained
    substeps = None
    if solver is not None and not solver.adaptive:
        substeps = loss.substeps or max(given(solver.substeps), task.repeat)
    return msgspec.structs.replace(
        loss,
        norm=loss.norm or ("squared" if squared else "pseudo-huber"),
        substeps=substeps,
    )
