"""Fits of the library's models in the directories of parts."""

import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ...config import FitConfig, Known, fit_config
from ...data import TrajectorySet, write
from ...identification import fit_problem
from ...results import kind_of
from ...runs import fit_model, load_fit, resume_fit
from .._reproduction import PartProgress
from .._runs import PartDisplay
from ._models import FittedModel, LinearModel, least_squares
from ._robots import Arm

# Options of the models of `lagdyna fit`, by their names here.
ROBOTS: Mapping[str, Mapping[str, Any]] = {
    "robot": {"name": "robot"},
    "robot-curve": {"name": "robot", "dissipation": "curve"},
    "delan-structure": {"name": "robot", "inertia": "unknown"},
    "robot-residual": {"name": "robot-residual"},
    "least-squares": {"name": "robot"},
    "mujoco-sysid": {"name": "robot"},
}
_VALIDATION = 0.05


def config(
    name: str,
    file: Path,
    updates: int | None,
    *,
    seed: int,
    arm: Arm | None = None,
    loss: str = "inverse",
    options: Mapping[str, Any] = MappingProxyType({}),
) -> FitConfig:
    """Make the config of a fit.

    **Arguments:**

    - `name`: of `ROBOTS`, or of a model without a robot description.
    - `file`: recordings to learn from.
    - `updates`: of Adam; `None` for the usual learner of the model.
    - `arm`: robot whose description the model gets.
    - `options`: tables that are merged with those made here, such as `signals`.
    """
    chosen = dict(ROBOTS.get(name, {"name": name}))
    if name in ROBOTS:
        assert arm is not None
        chosen |= {"robot": arm.path, "joints": arm.joints}
    table: dict[str, Any] = {
        "data": {"file": str(file), "angles": "all", "validation": _VALIDATION},
        "seed": seed,
        "loss": {"name": loss},
        **options,
        "model": chosen | options.get("model", {}),
    }
    if updates is not None:
        table["learner"] = {"name": "adam", "updates": updates}
    return fit_config(table)


def keep_recordings(directory: Path, recordings: TrajectorySet) -> Path:
    """Write the recordings of a part, unless an interrupted one left them."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "training.npz"
    if not path.exists():
        write(path, recordings)
    return path


def fit_or_resume(
    config: FitConfig, directory: Path, progress: PartProgress, known: Known | None = None
) -> tuple[FittedModel, float]:
    """Fit a model, or continue the fit in the directory of a part.

    **Returns:** the model, and seconds until its last update, with compilation and without the
    report; of a fit that was interrupted, those since it went on.
    """
    out, display = directory / "fit", PartDisplay(progress)
    if kind_of(out) == "fit":
        resume_fit(out, known=known, progress=display)
    else:
        fit_model(config, out, known=known, progress=display)
    run = load_fit(out, known=known)
    return FittedModel(run.model), display.seconds or run.records[-1]["seconds"]


def solve(config: FitConfig) -> tuple[LinearModel, float]:
    """Solve the linear least squares of a robot's regressor.

    **Returns:** the model, and seconds with compilation.
    """
    start = time.perf_counter()
    return least_squares(fit_problem(config)), time.perf_counter() - start
