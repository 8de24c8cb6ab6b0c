"""Config of a fit to recordings."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from .._errors import UserError
from ..options import Whole, convert, part_of, table_of
from ..parts import (
    LEARNERS,
    LOSSES,
    MODELS,
    AutoLossConfig,
    DynamicsConfig,
    GradientConfig,
    LearnerConfig,
    LossConfig,
    SolverConfig,
    StepsLossConfig,
)
from ..tasks import Plant
from ._checks import check_loss, check_solver
from ._data import DataConfig, Source
from ._names import named_solver
from ._signals import SignalsConfig
from ._tables import checked_part


@dataclass(frozen=True, kw_only=True, init=False)
class FitConfig:
    """Everything that determines a fit, apart from the data themselves.

    Parts may be given as names, as objects or as classes, and `data` as the name of a file or
    a list of files: `FitConfig(data="arm.csv", model="lnn")`. `resolved` fills what was left
    open.

    **Arguments:**

    - `data`: a [`lagdyna.config.DataConfig`][].
    - `seed`: of everything random, the choice of validation data included.
    - `model`, `solver`, `loss`, `learner`: the parts; by default `delan`, `heun`, `auto`, and
        `adam` or what is usual for the model, `levenberg-marquardt` for `known`.
    - `signals`: a [`lagdyna.config.SignalsConfig`][], or a table of its options.

    **Raises:** `UserError` if a name is unknown, or options contradict each other.
    """

    data: DataConfig
    seed: Whole
    model: DynamicsConfig
    solver: SolverConfig | None
    loss: LossConfig
    learner: LearnerConfig
    signals: SignalsConfig

    def __init__(
        self,
        *,
        data: DataConfig | Source | Sequence[Source],
        seed: int = 0,
        model: DynamicsConfig | type[DynamicsConfig] | str = MODELS.default,
        solver: SolverConfig | str | None = None,
        loss: LossConfig | str = LOSSES.default,
        learner: LearnerConfig | type[LearnerConfig] | str | None = None,
        signals: SignalsConfig | Mapping[str, Any] = SignalsConfig(),
    ):
        chosen, compared = part_of(model, MODELS, "model"), part_of(loss, LOSSES, "loss")
        if learner is None:
            learner = usual_learner(chosen, compared)
        elif isinstance(learner, str | type):
            learner = _as_chosen(part_of(learner, LEARNERS, "learner"))
        values = {
            "data": DataConfig.of(data),
            "seed": seed,
            "model": chosen,
            "solver": named_solver(solver),
            "loss": compared,
            "learner": part_of(learner, LEARNERS, "learner"),
            "signals": convert(table_of(signals), SignalsConfig, "signals"),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        check_solver(self.model, self.solver)
        check_loss(self.loss, self.learner, self.model, self.solver)
        constrained = self.model.constrained
        if constrained and self.loss.name not in ("auto", "one-step"):
            raise UserError(
                f"`loss.name` was {self.loss.name!r}; with the model {self.model.name!r} "
                "one-step is accepted"
            )

    def resolved(
        self, plant: Plant, recorded: Sequence[str], weights: list[Any] | None = None
    ) -> "FitConfig":
        """Fill every option that was left open.

        **Arguments:** `plant`, described by the data; `recorded`, names of the recorded arrays;
        `weights`, of the model, which a learner may depend on (`auto`); shapes suffice.

        **Raises:** `UserError` if the data or the model lack what the loss compares.
        """
        model = self.model.resolved(plant)
        learner = msgspec.structs.replace(
            self.learner,
            updates=self.learner.updates or self.learner.usual_fit.updates,
            batch=self.learner.batch or self.learner.usual_fit.batch,
        )
        if isinstance(learner, GradientConfig):
            learner = learner.with_usual_decay(0.0)
        if weights is not None:
            learner = learner.resolved(weights)
        solver = None
        if not model.discrete:
            solver = (self.solver or SolverConfig()).resolved(plant.substeps)
        loss = self._loss(recorded, solver)
        self.signals.check(model, plant, loss.name)
        return dataclasses.replace(self, model=model, learner=learner, solver=solver, loss=loss)

    def _loss(self, recorded: Sequence[str], solver: SolverConfig | None) -> LossConfig:
        loss, model = self.loss, self.model
        if isinstance(loss, AutoLossConfig):
            forward = "qdd" in recorded and model.accelerations and not model.constrained
            loss = part_of("forward" if forward else "one-step", LOSSES, "loss")
        if loss.needs is not None and loss.needs not in recorded:
            raise UserError(
                f"`loss.name` was {loss.name!r}, which needs recorded accelerations, and "
                f"{self.data.title} has no `{loss.needs}`; one-step and multi-step do without"
            )
        can = {"forward": model.accelerations, "inverse": model.forces}
        if not can.get(loss.name, True):
            what = {"forward": "accelerations", "inverse": "inverse dynamics"}[loss.name]
            raise UserError(
                f"`loss.name` was {loss.name!r}, and the model {model.name!r} has no {what}; "
                "one-step and multi-step are accepted"
            )
        if isinstance(loss, StepsLossConfig):
            substeps = None if solver is None else loss.substeps or solver.substeps
            norm = loss.norm or "squared"
            loss = msgspec.structs.replace(loss, norm=norm, substeps=substeps)
        return loss


def _as_chosen(learner: LearnerConfig) -> LearnerConfig:
    """Fill the updates of a learner that was named, so that none is chosen in its place."""
    return msgspec.structs.replace(
        learner, updates=learner.updates or learner.usual_fit.updates
    )


def usual_learner(model: DynamicsConfig, loss: LossConfig) -> str:
    """Name the learner of a model whose learner was left open."""
    usual = LEARNERS.variants[model.usual_learner]
    squared = usual.squared  # pyright: ignore[reportAttributeAccessIssue]
    if squared and isinstance(loss, StepsLossConfig) and loss.norm == "pseudo-huber":
        return LEARNERS.default  # no sum of squares
    return model.usual_learner


def fit_config(table: Mapping[str, Any]) -> FitConfig:
    """Convert a table to the config of a fit; options left out keep their defaults.

    **Raises:** `UserError` naming the option, what was given, and what is accepted.
    """
    data = table.get("data")
    if isinstance(data, list | tuple):
        table = {**table, "data": {"file": data}}
    elif not isinstance(data, str | DataConfig) and not (
        isinstance(data, Mapping) and "file" in data
    ):
        raise UserError("`data.file` is missing: the file to learn from, say data.npz")
    learner = table.get("learner")
    if isinstance(learner, Mapping) and "name" not in learner:
        # Options of a learner that was not named.
        model, loss = (
            part_of(table.get(name) or family.default, family, name)
            for name, family in (("model", MODELS), ("loss", LOSSES))
        )
        usual = usual_learner(model, loss)
        if set(learner) <= set(LEARNERS.variants[usual].__struct_fields__):
            table = {**table, "learner": {"name": usual, **learner}}
    elif learner in (LEARNERS.default, {"name": LEARNERS.default}):
        table = {**table, "learner": _as_chosen(part_of(LEARNERS.default, LEARNERS, "learner"))}
    return convert(table, FitConfig)


def check_fit_config(config: FitConfig) -> FitConfig:
    """Check the values of a config against their types and bounds.

    **Raises:** `UserError` as [`lagdyna.config.fit_config`][].
    """
    parts = {name: getattr(config, name) for name in ("model", "loss", "learner")}
    checked = {name: checked_part(part, name) for name, part in parts.items()}
    rest = {name: value for name, value in table_of(config).items() if name not in parts}
    return fit_config({**rest, **checked})
