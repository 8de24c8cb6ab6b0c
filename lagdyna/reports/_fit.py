"""Reports of fits."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .._text import cell, flat
from ..identification import percent, unseen_part
from ..results import FitRecord, ReportFile, digest_of_lines, read_metrics, read_sealed
from ._directory import circumstances, config_text, date_of, files_table, pictures
from ._page import Command, Page, Table

_PARTS = ("training", "validation", "test")

_SIGNALS = {"delay": "s", "lag": "s"}


def fit_page(run: Path) -> Page:
    """Describe a finished fit."""
    records = read_metrics(run / "metrics.jsonl", FitRecord)
    path = run / "report.json"
    report = read_sealed(path, ReportFile, digest_of_lines(records))[1]
    shown, left_out = pictures(run)
    part, unseen = unseen_part(report)
    tables = [
        _errors(report),
        *_parameters(report),
        *_robot(report),
        *_signals(report),
        _updates(records),
    ]
    return Page(
        title=f"{report['model']} fitted to {_data(report)}",
        kind=f"fit · {report['loss']} loss · learner {report['learner']}",
        date=date_of(path),
        result=(
            f"{report['model']} by its {report['loss']} loss, {report['updates']} updates, "
            f"{report['seconds']:.0f} s; errors are measured on {unseen['trajectories']} "
            f"{part} {'trajectory' if unseen['trajectories'] == 1 else 'trajectories'}."
        ),
        facts=[
            *_headline(part, unseen),
            ("learned weights", cell(report["weights"])),
            ("updates", cell(report["updates"])),
            ("time", f"{report['seconds']:.3g} s"),
        ],
        notes=list(report["notes"]),
        pictures=shown,
        left_out=left_out,
        tables=tables,
        config=config_text(run),
        circumstances=circumstances(run, report),
        files=files_table(run),
        commands=_commands(run, report),
    )


def _data(report: Mapping[str, Any]) -> str:
    names = [Path(each).name for each in str(report.get("data", "recordings")).split(", ")]
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _headline(part: str, unseen: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Pick the errors that tell most, as shares of the variation."""
    for key, name in (("torque", "force error"), ("one_step_qd", "one-step error of qd")):
        shares = [x for x in unseen["relative"].get(key) or [] if x is not None]
        if shares:
            of = "its variation" if key == "torque" else "the change"
            yield f"{name} on {part} data", f"{', '.join(map(percent, shares))} of {of}"


def _errors(report: Mapping[str, Any]) -> Table:
    """Tabulate root mean square errors, those of each coordinate beside another."""
    parts = [name for name in _PARTS if report.get(name)]
    rollout = report[parts[-1]]["rollout"]["seconds"]
    end = f"{rollout[-1]:.3g} s" if rollout else "0 s"
    quantities = (
        ("one step, q / (rad or m)", "one_step_q", lambda x: x["one_step"]["q"]),
        ("one step, qd / (rad/s or m/s)", "one_step_qd", lambda x: x["one_step"]["qd"]),
        ("qdd / (rad/s² or m/s²)", "acceleration", lambda x: x.get("acceleration")),
        ("force / (N m or N)", "torque", lambda x: x.get("torque")),
        (f"rollout of {end}, q", "rollout_q", lambda x: _last(x["rollout"]["q"])),
        (f"rollout of {end}, qd", "rollout_qd", lambda x: _last(x["rollout"]["qd"])),
    )
    rows = []
    for name, key, errors_of in quantities:
        found = [errors_of(report[part]) for part in parts]
        if any(errors is not None for errors in found):
            shares = [report[part]["relative"].get(key) for part in parts]
            texts = (_beside(*each) for each in zip(found, shares, strict=True))
            rows.append((name, *texts))
    joints = report.get("joints")
    note = (
        "Root mean squares, one a coordinate; in brackets as a part of the change in a step, "
        "and of the variation of the data for others"
    )
    note += f"; joints: {', '.join(joints)}." if joints else "."
    calibration = report.get("calibration")
    if calibration is not None:
        levels, covered = (
            " ".join(f"{100 * x:.3g}" for x in calibration[name])
            for name in ("levels", "coverage")
        )
        note += f" Intervals of {levels} % cover {covered} % of unseen data."
    return Table("Errors", ("quantity", *parts), rows, note)


def _last(values: list[Any]) -> Any:
    return values[-1] if values else None


def _beside(errors: list[Any] | None, shares: list[Any] | None) -> str:
    if errors is None:
        return "-"
    shares = shares or [None] * len(errors)
    return ", ".join(
        cell(error) + ("" if share is None else f" ({percent(share)})")
        for error, share in zip(errors, shares, strict=True)
    )


def _parameters(report: Mapping[str, Any]) -> Iterator[Table]:
    """Tabulate the physical parameters of a known system, if there are any."""
    rows = []
    for each in report.get("parameters") or []:
        start, fitted = flat(each["start"]), flat(each["fitted"])
        ends: list[Any] = flat(each["interval"], 1)
        has_intervals = len(ends) == len(fitted) and each["interval"] is not None
        for i, (before, after) in enumerate(zip(start, fitted, strict=True)):
            name = each["name"] + (f"[{i}]" if len(fitted) > 1 else "")
            if not each["learned"]:
                found, interval = "-", "not learned"
            else:
                known = ends[i] if has_intervals else None
                found, interval = _estimate(after, known)
                if known is None and (has_intervals or len(ends) == len(fitted)):
                    interval = "not identifiable from these data"
            rows.append((name, cell(before), found, interval))
    if rows:
        columns = ("parameter", "start", "fitted", "95 % interval")
        yield Table("Physical parameters", columns, rows, "In SI units.")


def _estimate(value: Any, ends: list[float | None] | None) -> tuple[str, str]:
    """Format an estimate and its interval with the digits that tell them apart."""
    if ends is None or None in (value, *ends):
        return cell(value), _interval(ends)
    for digits in range(3, 10):
        low, middle, high = (f"{x:.{digits}g}" for x in (ends[0], value, ends[1]))
        if low != high:
            return middle, f"{low} to {high}"
    return cell(value), _interval(ends)


def _interval(ends: list[float | None] | None) -> str:
    return "-" if ends is None else f"{cell(ends[0])} to {cell(ends[1])}"


def _robot(report: Mapping[str, Any]) -> Iterator[Table]:
    """Tabulate the links of an identified robot."""
    robot = report.get("robot")
    if robot is None:
        return
    rows = []
    for link in robot["links"]:
        before, after = link["start"], link["fitted"]
        numbers = {each["name"]: each["interval"] for each in link["numbers"]}
        unknown = [name for name, interval in numbers.items() if interval is None]
        rows.append(
            (
                link["joint"],
                cell(before["mass"]),
                cell(after["mass"]),
                _interval(numbers.get("mass")),
                cell(after["centre"]),
                cell(after["moments"]),
                ", ".join(unknown) or "-",
            )
        )
    columns = (
        *("link of", "mass at the start / kg", "mass / kg", "95 % interval / kg"),
        *("centre / m", "moments / (kg m²)", "not identifiable from these data"),
    )
    note = (
        f"The data determine {robot['base_parameters']} combinations of {robot['parameters']} "
        f"numbers (base parameters), condition number {cell(robot['condition'])}."
    )
    yield Table("Links of the robot", columns, rows, note)


def _signals(report: Mapping[str, Any]) -> Iterator[Table]:
    """Tabulate what was learned of sensors and motors."""
    signals = report.get("signals")
    if signals:
        rows = [
            (f"{name.replace('_', ' ')}{_unit(name)}", cell(value))
            for name, value in signals.items()
        ]
        yield Table("Sensors and motors", ("signal", "value"), rows, "In SI units.")


def _unit(name: str) -> str:
    unit = _SIGNALS.get(name)
    return "" if unit is None else f" / {unit}"


def _updates(records: list[dict[str, Any]]) -> Table:
    names = ("updates", "loss", "validation_loss", "skipped_updates", "seconds")
    rows = [tuple(cell(record.get(name)) for name in names) for record in records]
    columns = ("updates", "training loss", "validation loss", "skipped updates", "time / s")
    return Table(f"Losses ({len(rows)})", columns, rows, folded=True)


def _commands(run: Path, report: Mapping[str, Any]) -> list[Command]:
    name, more = shlex.quote(str(run)), 2 * report["updates"]
    n = len(unseen_part(report)[1]["one_step"]["q"])
    zeros = ",".join(["0"] * n)
    return [
        Command("Give the fit more updates:", f"lagdyna resume {name} --updates {more}"),
        Command(
            "Compare it with a fit of another model:",
            f"lagdyna compare {name} OTHER_FIT --out runs/comparison",
        ),
        Command(
            "Plan a motion with the model:",
            f"lagdyna plan {name} --start q={','.join(['0.5'] * n)} --goal q={zeros} "
            f"--limit {','.join(['5'] * n)}",
        ),
        Command(
            "Export a step of the model for other programs:",
            f"lagdyna export {name} --what step",
        ),
        Command(
            "Repeat the fit:",
            f"lagdyna fit --config {shlex.quote(str(run / 'config.toml'))}",
        ),
        Command(
            "Use it in Python:",
            f"""import lagdyna

fit = lagdyna.load({str(run)!r})
qdd = fit.model.forward_dynamics(q, qd, tau)
figure = lagdyna.plot.loss_curve(fit.records, title=fit.config.model.name)
lagdyna.plot.save(figure, "losses.pdf")""",
        ),
    ]
