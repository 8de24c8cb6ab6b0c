"""Comparison of fits by their reports."""

from pathlib import Path
from typing import Any

import numpy as np

from .._errors import UserError
from ..identification import unseen_part
from ..options import read_table
from ..plot import rollout_errors, save
from ..reports import try_report
from ..results import check_kind, kind_of, new_directory, write_json
from ._cautions import fit_cautions, run_label
from ._reports import finished_report

Row = dict[str, Any]


def compare_fits(runs: list[str | Path], out: str | Path | None = None) -> list[Row]:
    """Compare several fits by their errors on test data, or else validation data.

    **Arguments:**

    - `runs`: directories of `lagdyna fit`, at least one.
    - `out`: a new or empty directory for `compare.json`, `rollout_error.png` and
        `report.html`; nothing is written by default.

    **Returns:** a row for each run. Errors of vectors are root mean squares over their
    coordinates; a quantity that the model or its data do not have is `None`. `relative` has
    the same errors as fractions: one-step errors relative to the change in a step, others
    relative to the variation of the data. `notes` lists the differences from the first fit
    besides the model: data, updates, seed.

    **Raises:** `UserError` if there are no runs, or one holds no finished fit.
    """
    if not runs:
        raise UserError("`runs` was empty; at least one directory of a fit is accepted")
    reports = {str(run): _report(Path(run)) for run in runs}
    rows = [_row(name, report) for name, report in reports.items()]
    first, *others = reports
    for row, name in zip(rows[1:], others, strict=True):
        configs = _config(name), _config(first)
        pair = reports[name], reports[first]
        row["notes"] = fit_cautions(run_label(first), pair, configs)
    if out is not None:
        out = new_directory(Path(out))
        write_json(out / "compare.json", rows)
        parts = " or ".join(sorted({unseen_part(each)[0] for each in reports.values()}))
        save(rollout_errors(_rollouts(reports), part=parts), out / "rollout_error.png")
        rows[0]["notes"] += try_report(out)
    return rows


def _report(run: Path) -> dict[str, Any]:
    if kind_of(run) not in ("fit", None):
        check_kind(run, "fit")
    report = finished_report(run)
    if report is not None:
        return report
    raise UserError(
        f"`runs` has {str(run)!r}, which holds no finished fit (no whole `report.json`); "
        "directories that `lagdyna fit` wrote are accepted, all of them finished"
    )


def _config(run: str) -> dict[str, Any]:
    """Read the config of a fit as a table, so that no code of its parts is run."""
    path = Path(run) / "config.toml"
    return read_table(path) if path.exists() else {}


def _rollouts(reports: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Collect the rollout errors by a label for each run, the directory where names repeat."""
    names = [Path(run).name for run in reports]
    labels = {
        run: Path(run).name if names.count(Path(run).name) == 1 else run for run in reports
    }
    return {
        f"{report['model']} ({labels[run]})": unseen_part(report)[1]["rollout"]
        for run, report in reports.items()
    }


def _row(name: str, report: dict[str, Any]) -> Row:
    _, unseen = unseen_part(report)
    drift, rollout = unseen["energy_drift"], unseen["rollout"]
    return {
        "run": name,
        "model": report["model"],
        "loss": report["loss"],
        "learner": report["learner"],
        "weights": report["weights"],
        "seconds": report["seconds"],
        "one_step_q": _rms(unseen["one_step"]["q"]),
        "one_step_qd": _rms(unseen["one_step"]["qd"]),
        "acceleration": _rms(unseen.get("acceleration")),
        "torque": _rms(unseen["torque"]),
        "rollout_seconds": rollout["seconds"][-1],
        "rollout_q": _rms(rollout["q"][-1]),
        "rollout_qd": _rms(rollout["qd"][-1]),
        "energy_drift": None if drift is None else drift["rollout"],
        "relative": {name: _rms_of_known(x) for name, x in unseen["relative"].items()},
        "notes": [],
    }


def _rms_of_known(shares: list[float | None] | None) -> float | None:
    """Average over the coordinates that vary in the data; `None` if none does."""
    return _rms([share for share in shares or [] if share is not None] or None)


def _rms(values: list[float | None] | None) -> float | None:
    """Average errors over coordinates; `None` if one is missing."""
    if values is None or None in values:
        return None
    return float(np.sqrt(np.mean(np.square(np.asarray(values, float)))))
