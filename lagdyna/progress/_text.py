"""Sentences about runs that both displays show."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .._plain import plain
from ..config import Config, FitConfig, given

_PHASES = {
    "collect": "acting in the environment",
    "fit": "fitting dynamics and reward",
    "imagine": "learning to act",
    "evaluate": "evaluating",
    "pictures": "drawing pictures",
}


_PHASES_OF_FITS = {
    "prepare": "preparing data and model",
    "fit": "fitting the model",
    "evaluate": "evaluating the model",
    "pictures": "drawing pictures",
}


def phase_text(name: str, is_fit: bool) -> str:
    """Describe a phase of a training run or of a fit."""
    return (_PHASES_OF_FITS if is_fit else _PHASES).get(name, plain(name))


def heading(config: Config | FitConfig, out: Path, done: int, seeds: Sequence[int]) -> str:
    """Describe a run by its resolved config, in one line."""
    some = f"seed {seeds[0]}"
    if len(seeds) > 1:
        some = f"seeds {seeds[0]} to {seeds[-1]}"
    if isinstance(config, FitConfig):
        resumed = f", resumed after {done} updates" if done else ""
        return plain(f"{config.data.title}: {_parts(config)}, {some}{resumed} -> {out}")
    config = config.resolved()
    resumed = f", resumed after {done} steps" if done else ""
    agent = f"{config.agent.name} agent"
    return plain(f"{config.task.env_id}: {agent}, {_parts(config)}, {some}{resumed} -> {out}")


def _parts(config: Config | FitConfig) -> str:
    if config.model is None or config.learner is None:
        return "no model"
    solver = "no solver" if config.solver is None else f"{config.solver.name} solver"
    return f"{config.model.name} model, {solver}, {config.learner.name} learner"


def returns(evaluation: Mapping[str, Any]) -> str:
    """Describe the returns of an evaluation."""
    if "returns" not in evaluation:
        return f"return {evaluation['return_mean']:.1f} ± {evaluation['return_std']:.1f}"
    found = evaluation["returns"]
    return (
        f"return {evaluation['interquartile_mean']:.1f}, the interquartile mean over "
        f"{len(found)} seeds from {min(found):.1f} to {max(found):.1f}"
    )


def losses(metrics: Mapping[str, Any]) -> str:
    """Describe the losses among the metrics of a training run."""
    shown = [
        f"{label} {metrics[key]:.2g}"
        for key, label in (
            ("model_loss", "dynamics"),
            ("reward_loss", "reward"),
            ("critic_loss", "critic"),
        )
        if key in metrics
    ]
    return ", ".join(shown) or "-"


def fit_losses(record: Mapping[str, Any]) -> str:
    """Describe the losses of a record of a fit."""
    skipped = record["skipped_updates"]
    shown = [
        "not finite" if record[name] is None else f"{record[name]:.3g}"
        for name in ("loss", "validation_loss")
    ]
    text = f"{record['updates']} updates: loss {shown[0]}, validation {shown[1]}"
    return text + (f", {skipped} skipped" if skipped else "")


def total_of(config: Config | FitConfig) -> int:
    """Count the parts of a run: environment steps, or updates of a fit."""
    if isinstance(config, FitConfig):
        return config.learner.updates or config.learner.usual_fit.updates
    return given(config.resolved().steps)
