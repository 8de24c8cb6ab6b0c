"""Tables and sentences that the commands print."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from .._plain import plain
from .._text import cell as cell
from .._text import flat, seeds_result, training_result
from .._text import with_interval as with_interval

console = Console()


def say(line: str) -> None:
    """Print one line as it is, without wrapping."""
    console.print(plain(line), markup=False, highlight=False, soft_wrap=True)


def add_row(table: Table, *cells: str) -> None:
    """Add a row of texts as they are, without markup."""
    table.add_row(*(Text(plain(each)) for each in cells))


def fail(message: str) -> NoReturn:
    """Print one red line to standard error, and exit with code 2."""
    Console(stderr=True).print(
        plain(f"lagdyna: {message}"),
        style="red",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    sys.exit(2)


def beside(errors: Sequence[Any], shares: Sequence[float | None] | None) -> str:
    """Format errors, each beside its share of what it is relative to, in percent."""
    from ..identification import percent

    shown = []
    for error, share in zip(errors, shares or [None] * len(errors), strict=True):
        shown.append(cell(error) + ("" if share is None else f" ({percent(share)})"))
    return " ".join(shown)


def runs_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Create an empty table with a column per run, for comparisons."""
    names = (Column(Text(plain(name))) for name in run_names(rows))
    return Table(Column("run", no_wrap=True), *names, box=None)


def run_names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name the runs of a comparison by the ends of their paths, as long as they must differ."""
    paths = [Path(row["run"]) for row in rows]
    for count in range(1, max(len(path.parts) for path in paths) + 1):
        names = [str(Path(*path.parts[-count:])) for path in paths]
        if len({*names}) == len({*paths}):
            return names
    return [str(path) for path in paths]


def write_list(out: Path | None, name: str, rows: Any) -> None:
    """Write a list as JSON into a new or empty directory, if one was given.

    **Raises:** `UserError` if the directory holds anything.
    """
    if out is not None:
        from ..results import new_directory, write_json

        write_json(new_directory(out) / name, rows)


def print_summary(summary: Mapping[str, Any], directory: Path) -> None:
    """Print the result of a training run."""
    say(training_result(summary))
    for note in summary.get("notes", []):
        say(f"note: {note}")
    drawn = ("report.html", "learning_curve.png", "rollout.gif", "energy.png")
    there = [name for name in drawn if (directory / name).exists()]
    say(f"the run is in {directory}: {', '.join(there)}, ...")


def print_seeds(summary: Mapping[str, Any], directory: Path) -> None:
    """Print the result of a training run of several seeds."""
    say(seeds_result(summary))
    for note in summary.get("notes", []):
        say(f"note: {note}")
    say(f"the runs are in {directory}: report.html, learning_curve.png, seed-...")


def parameter_line(parameter: Mapping[str, Any]) -> str:
    """Describe a parameter of a known system: start, estimate and interval of each number."""
    start, fitted, intervals = (
        flat(parameter[name], depth)
        for name, depth in (("start", 0), ("fitted", 0), ("interval", 1))
    )
    if not parameter["learned"]:
        return f"{parameter['name']}: {cell(start)}, not learned"
    if len(intervals) != len(fitted):  # too many parameters for intervals
        return f"{parameter['name']}: {cell(start)} -> {cell(fitted)}"
    found = [
        f"{cell(value)} (not identifiable from these data)"
        if ends is None
        else f"{value:.4g} ({cell(ends[0])} to {cell(ends[1])})"
        for value, ends in zip(fitted, intervals, strict=True)
    ]
    return f"{parameter['name']}: {cell(start)} -> {', '.join(found)}"


def robot_lines(robot: Mapping[str, Any] | None) -> list[str]:
    """Describe the links of an identified robot."""
    if robot is None:
        return []
    lines = []
    for link in robot["links"]:
        before, after = link["start"], link["fitted"]
        unknown = [each["name"] for each in link["numbers"] if each["interval"] is None]
        told = f"; not identifiable from these data: {', '.join(unknown)}" if unknown else ""
        lines.append(
            f"link of {link['joint']}: "
            f"mass {cell(before['mass'])} -> {cell(after['mass'])} kg, "
            f"centre {cell(after['centre'])} m, "
            f"moments {cell(after['moments'])} kg m^2{told}"
        )
    lines.append(
        f"the data determine {robot['base_parameters']} combinations of "
        f"{robot['parameters']} numbers (base parameters), condition number "
        f"{cell(robot['condition'])}"
    )
    return lines


def print_report(report: Mapping[str, Any], directory: Path) -> None:
    """Print the result of a fit."""
    from ..identification import unseen_part

    part, unseen = unseen_part(report)
    for note in report["notes"]:
        say(f"note: {note}")
    if report.get("joints"):
        say(f"joints, in this order: {', '.join(report['joints'])}")
    found = unseen["relative"]
    parts = [
        f"one step q {beside(unseen['one_step']['q'], found['one_step_q'])}",
        f"qd {beside(unseen['one_step']['qd'], found['one_step_qd'])}",
    ]
    parts[1] += " of the change in a step"
    if unseen.get("acceleration") is not None:
        parts.append(f"qdd {beside(unseen['acceleration'], found['acceleration'])}")
    if unseen["torque"] is not None:
        parts.append(f"force {beside(unseen['torque'], found['torque'])}")
    if len(parts) > 2:
        parts[-1] += " of the variation"
    for each in report["parameters"] or []:
        say(parameter_line(each))
    for line in robot_lines(report.get("robot")):
        say(line)
    for line in signal_lines(report.get("signals") or {}):
        say(line)
    say(
        f"{report['model']} by its {report['loss']} loss, {report['updates']} updates, "
        f"{report['seconds']:.0f} s; root mean square errors on "
        f"{unseen['trajectories']} {part} trajectories: {', '.join(parts)}"
    )
    calibration = report.get("calibration")
    if calibration is not None:
        levels, covered = (
            " ".join(f"{100 * x:.3g}" for x in calibration[name])
            for name in ("levels", "coverage")
        )
        say(
            f"{levels} % intervals cover {covered} % of unseen data at a temperature of "
            f"{calibration['temperature']:.2g}"
        )
    say(f"the run is in {directory}: report.html, report.json, learning_curve.png, ...")


def signal_lines(signals: Mapping[str, Any]) -> list[str]:
    """Describe what was learned of sensors and motors, a line for each."""
    lines = []
    for name, value in signals.items():
        if name in ("delay", "lag"):
            lines.append(f"{name}: {1e3 * value:.3g} ms")
        else:
            lines.append(f"{name.replace('_', ' ')}: {cell(value)}")
    return lines


def print_entries(entries: Sequence[Any], directory: Path) -> None:
    """Print the figures of a reproduction.

    **Arguments:** `entries`, each a [`lagdyna.reproductions.Entry`][].
    """
    names = ("paper", "ours", "from", "to", "unit")
    figures = [Column(name, no_wrap=True) for name in names]
    table = Table(Column(overflow="fold"), *figures, box=None)
    for each in entries:
        found = (each.paper, each.ours, each.low, each.high)
        add_row(table, each.name, *map(cell, found), each.unit)
    console.print(table)
    seeds = entries[0].seeds
    what = f"middle and range of {seeds} seeds" if seeds > 1 else "one seed"
    notes = {each.note for each in entries}
    note = notes.pop() if len(notes) == 1 else "results.json describes each figure"
    say(f"{what}; {note}")
    say(f"-> {directory}: report.html, results.json and pictures")
