"""Short form of a fit."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .._errors import UserError
from ..config import DataConfig, FitConfig, Known, SignalsConfig
from ..identification import Report
from ..learners import Residual
from ..parts import LossConfig, SolverConfig
from ..progress import ProgressLike
from ._fit import fit_model
from ._train import Learner, Model


def fit(
    data: FitConfig | DataConfig | str | Path | Sequence[str | Path],
    out: str | Path | None = None,
    *,
    angles: Sequence[int | str] | str | None = None,
    model: Model | None = None,
    solver: SolverConfig | str | None = None,
    loss: LossConfig | str | None = None,
    learner: Learner | None = None,
    seed: int | None = None,
    signals: SignalsConfig | Mapping[str, Any] | None = None,
    known: Known | None = None,
    residual: Residual | None = None,
    progress: ProgressLike = None,
) -> Report:
    """Fit a model to recordings: `fit("arm.csv", angles="all", model="lnn")`.

    The short form of [`lagdyna.runs.fit_model`][].

    **Arguments:**

    - `data`: a file of recordings, several, or a config whose options are changed by the
        others.
    - `angles`: of a file, the coordinates that are angles, as `(0, 2)` or `("q0", "q2")`, or
        `"all"`.
    - `model`, `solver`, `loss`, `learner`, `seed`, `signals`: as of
        [`lagdyna.config.FitConfig`][].
    - `out`, `known`, `residual`, `progress`: as of [`lagdyna.runs.fit_model`][].

    **Returns:** the content of `report.json`.

    **Raises:** `UserError` as [`lagdyna.runs.fit_model`][].
    """
    if not isinstance(data, FitConfig | DataConfig):
        angles = () if angles is None else angles
        angles = angles if isinstance(angles, str) else tuple(angles)
        data = DataConfig.of(data, angles=angles)
    elif angles is not None:
        raise UserError("`angles` was given beside a config, which has its own; leave it out")
    options = {"solver": solver, "loss": loss, "seed": seed, "model": model, "learner": learner}
    options["signals"] = signals
    given = {name: each for name, each in options.items() if each is not None}
    if isinstance(data, DataConfig):
        return fit_model(
            FitConfig(data=data, **given),
            out,
            known=known,
            residual=residual,
            progress=progress,
        )
    before = {name: getattr(data, name) for name in data.__dataclass_fields__}
    config = FitConfig(**{**before, **given})
    return fit_model(config, out, known=known, residual=residual, progress=progress)
