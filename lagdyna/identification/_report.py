"""Report of a fit, the content of `report.json`."""

import jax.numpy as jnp
import numpy as np

from ..learners import count_weights
from ..mechanics import MechanicalSystem
from ..parts import KnownConfig, RobotConfig, StepsLossConfig
from ..simulate import LearnedModel, without_signals
from ._evaluation import Drawn, Report, evaluate
from ._loop import Record
from ._parameters import parameter_report
from ._posterior import calibration
from ._problem import FitProblem, force_scale
from ._relative import warnings_of
from ._robot_report import robot_report
from ._signals import signal_values, true_data
from ._state import FitState, learned_part


def fit_report(
    problem: FitProblem, state: FitState, records: list[Record]
) -> tuple[Report, Drawn]:
    """Evaluate a finished fit.

    **Arguments:** `records`, those of all updates.

    **Returns:** the content of `report.json` and that of the figures.
    """
    model = LearnedModel(state.chosen)
    inner = LearnedModel(without_signals(state.chosen))
    evaluated, drawn = evaluate(inner, true_data(problem.data, model.signals))
    parameters, identified, found = None, None, []
    if isinstance(problem.config.model, KnownConfig | RobotConfig):
        parameters, identified, found = parameter_report(problem, state)
    robot = None
    if isinstance(problem.plant.known, MechanicalSystem):
        part = learned_part(problem.config.loss, state.chosen)
        scale = jnp.ones(problem.plant.n)
        if not isinstance(problem.config.loss, StepsLossConfig):
            scale = force_scale(problem.plant, problem.training)
        robot = robot_report(problem.plant.known, part, problem.training, scale)
    report = {
        **_summary(problem, state, records),
        "kept_updates": None if state.kept is None else int(state.kept.updates),
        "parameters": parameters,
        "identifiability": identified,
        "robot": robot,
        "calibration": calibration(problem, state),
        **evaluated,
    }
    report["notes"] += [*found, *early_stop(state, records), *warnings_of(report)]
    return report, drawn


def early_stop(state: FitState, records: list[Record]) -> list[str]:
    """Say that the model of an earlier update was kept."""
    last = records[-1]["updates"]
    if state.kept is None or int(state.kept.updates) == last:
        return []
    updates, least = int(state.kept.updates), float(state.kept.loss)
    when = f"after {updates} of {last} updates" if updates else "before any update"
    loss = records[-1]["validation_loss"]
    return [
        f"the model {when} was kept, since later ones have larger validation losses: "
        f"{least:.3g} then, {np.nan if loss is None else loss:.3g} at the end"
    ]


def _summary(problem: FitProblem, state: FitState, records: list[Record]) -> Report:
    config, data, model = problem.config, problem.data, LearnedModel(state.chosen)
    kept = None if state.kept is None else int(state.kept.updates)
    last = next((each for each in records if each["updates"] == kept), records[-1])
    notes, updates = list(data.notes), records[-1]["updates"]
    skipped = sum(record["skipped_updates"] for record in records)
    if 2 * skipped > updates:
        notes.append(
            f"{skipped} of {updates} updates were skipped, since they were not finite; a "
            "filter may need a smaller `learner.prior`, an optimiser a smaller `learner.rate`"
        )
    return {
        "data": ", ".join(config.data.files),
        "model": config.model.name,
        "loss": config.loss.name,
        "learner": config.learner.name,
        "solver": None if config.solver is None else config.solver.name,
        "seed": config.seed,
        "updates": updates,
        "seconds": records[-1]["seconds"],
        "weights": count_weights(model),
        "dt": data.dt,
        "control": data.control,
        "joints": None if data.joints is None else list(data.joints),
        "signals": signal_values(problem, model.signals),
        "notes": notes,
        "loss_training": last["loss"],
        "loss_validation": last["validation_loss"],
    }
