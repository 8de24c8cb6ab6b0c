"""Several fits beside each other."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from ._errors import UserError
from ._files import new_directory, write_json
from ._fit_plots import plot_rollout_errors

Row = dict[str, Any]


def compare(runs: list[str | Path], out: str | Path | None = None) -> list[Row]:
    """Lays the reports of several fits side by side, by their validation data.

    **Arguments:**

    - `runs`: directories of `lagdyna fit`, at least one.
    - `out`: a new or empty directory for `compare.json` and `rollout_error.png`; nothing
        is written by default.

    **Returns:** a row for each run. Errors of vectors are root mean squares over their
    coordinates; what a model or its data do not have is `None`.

    **Raises:** `UserError` if there are no runs, or one holds no finished fit.
    """
    if not runs:
        raise UserError("`runs` was empty; at least one directory of a fit is accepted")
    reports = {str(run): _report(Path(run)) for run in runs}
    rows = [_row(name, report) for name, report in reports.items()]
    if out is not None:
        out = new_directory(Path(out))
        rollouts = {
            f"{report['model']} ({Path(name).name})": report["validation"]["rollout"]
            for name, report in reports.items()
        }
        plot_rollout_errors(out / "rollout_error.png", rollouts)
        write_json(out / "compare.json", rows)
    return rows


def _report(run: Path) -> dict[str, Any]:
    path = run / "report.json"
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        if "validation" in report:
            return report
    except (OSError, ValueError):
        pass
    raise UserError(
        f"`runs` has {str(run)!r}, which holds no finished fit (no whole `report.json`); "
        "directories that `lagdyna fit` wrote are accepted, or such as `lagdyna train` wrote"
    )


def _row(name: str, report: dict[str, Any]) -> Row:
    validation, drift = report["validation"], report["validation"]["energy_drift"]
    rollout = validation["rollout"]
    return {
        "run": name,
        "model": report["model"],
        "loss": report["loss"],
        "learner": report["learner"],
        "weights": report["weights"],
        "seconds": report["seconds"],
        "one_step_q": _rms(validation["one_step"]["q"]),
        "one_step_qd": _rms(validation["one_step"]["qd"]),
        "acceleration": _rms(validation.get("acceleration")),
        "torque": _rms(validation["torque"]),
        "rollout_seconds": rollout["seconds"][-1],
        "rollout_q": _rms(rollout["q"][-1]),
        "rollout_qd": _rms(rollout["qd"][-1]),
        "energy_drift": None if drift is None else drift["rollout"],
    }


def _rms(values: list[float | None] | None) -> float | None:
    if values is None or None in values:
        return None
    return float(np.sqrt(np.mean(np.square(np.asarray(values, float)))))
