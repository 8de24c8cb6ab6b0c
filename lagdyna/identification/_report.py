"""Report of a fit, the content of `report.json`."""

from ..learners import count_weights
from ..parts import KnownConfig, RobotConfig
from ..simulate import LearnedModel, without_signals
from ._evaluation import Drawn, Report, evaluate
from ._loop import Record
from ._parameters import parameter_report
from ._posterior import calibration
from ._problem import FitProblem
from ._relative import warnings_of
from ._signals import signal_values, true_data
from ._state import FitState


def fit_report(
    problem: FitProblem, state: FitState, records: list[Record]
) -> tuple[Report, Drawn]:
    """Evaluate a finished fit.

    **Arguments:** `records`, those of all updates.

    **Returns:** the content of `report.json` and that of the figures.
    """
    model = LearnedModel(state.transition)
    inner = LearnedModel(without_signals(state.transition))
    evaluated, drawn = evaluate(inner, true_data(problem.data, model.signals))
    parameters, identified, found = None, None, []
    if isinstance(problem.config.model, KnownConfig | RobotConfig):
        parameters, identified, found = parameter_report(problem, state)
    report = {
        **_summary(problem, model, records),
        "parameters": parameters,
        "identifiability": identified,
        "calibration": calibration(problem, state),
        **evaluated,
    }
    report["notes"] += [*found, *warnings_of(report)]
    return report, drawn


def _summary(problem: FitProblem, model: LearnedModel, records: list[Record]) -> Report:
    config, data = problem.config, problem.data
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
        "loss_training": records[-1]["loss"],
        "loss_validation": records[-1]["validation_loss"],
    }
