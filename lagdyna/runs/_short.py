"""Short form of a fit."""

from pathlib import Path
from typing import Literal

from .._errors import UserError
from ..config import DataConfig, FitConfig, Known
from ..identification import Report
from ..learners import Residual
from ..parts import LossConfig, SolverConfig
from ._fit import FitProgress, fit_model
from ._train import Learner, Model


def fit(
    data: FitConfig | DataConfig | str | Path,
    out: str | Path | None = None,
    *,
    angles: tuple[int, ...] | Literal["all"] | None = None,
    model: Model | None = None,
    solver: SolverConfig | str | None = None,
    loss: LossConfig | str | None = None,
    learner: Learner | None = None,
    seed: int | None = None,
    known: Known | None = None,
    residual: Residual | None = None,
    progress: FitProgress | None = None,
) -> Report:
    """Fit a model to recordings: `fit("arm.csv", angles="all", model="lnn")`.

    The short form of [`lagdyna.runs.fit_model`][].

    **Arguments:**

    - `data`: a file of recordings, or a config whose options are changed by the others.
    - `angles`: of a file, the indices of the coordinates that are angles, or `"all"`.
    - `model`, `solver`, `loss`, `learner`, `seed`: as of [`lagdyna.config.FitConfig`][].
    - `out`, `known`, `residual`, `progress`: as of [`lagdyna.runs.fit_model`][].

    **Returns:** the content of `report.json`.

    **Raises:** `UserError` as [`lagdyna.runs.fit_model`][].
    """
    if isinstance(data, str | Path):
        data = DataConfig(file=str(data), angles=() if angles is None else angles)
    elif angles is not None:
        raise UserError("`angles` was given beside a config, which has its own; leave it out")
    options = {"solver": solver, "loss": loss, "seed": seed, "model": model, "learner": learner}
    given = {name: each for name, each in options.items() if each is not None}
    if isinstance(data, DataConfig):
        return fit_model(
            FitConfig(data=data, **given),
            out,
            known=known,
            residual=residual,
            progress=progress,
        )
    if not isinstance(data, FitConfig):
        raise UserError(
            f"`data` was an object of type {type(data).__name__}; the name of a file, a "
            "DataConfig or a FitConfig is accepted"
        )
    before = {name: getattr(data, name) for name in data.__dataclass_fields__}
    config = FitConfig(**{**before, **given})
    return fit_model(config, out, known=known, residual=residual, progress=progress)
