"""Tables and sentences that the commands print."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from .._plain import plain

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


def cell(value: Any) -> str:
    """Format a value for a table; a missing one is a dash."""
    if isinstance(value, list):
        return " ".join(cell(each) for each in value)
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.3g}"


def beside(errors: Sequence[Any], shares: Sequence[float | None] | None) -> str:
    """Format errors, each beside its share of what it is relative to, in percent."""
    from ..identification import percent

    shown = []
    for error, share in zip(errors, shares or [None] * len(errors), strict=True):
        shown.append(cell(error) + ("" if share is None else f" ({percent(share)})"))
    return " ".join(shown)


def with_interval(value: float | None, ends: Sequence[float] | None) -> str:
    """Format a value with its confidence interval, if it has one."""
    if value is None:
        return "-"
    return f"{value:.4g}" + ("" if ends is None else f" ({ends[0]:.4g} to {ends[1]:.4g})")


def runs_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Create an empty table with a column per run, for comparisons."""
    names = (Column(Text(plain(Path(row["run"]).name))) for row in rows)
    return Table(Column("run", no_wrap=True), *names, box=None)


def write_list(out: Path | None, name: str, rows: Any) -> None:
    """Write a list as JSON into a new or empty directory, if one was given.

    **Raises:** `UserError` if the directory holds anything.
    """
    if out is not None:
        from ..results import new_directory, write_json

        write_json(new_directory(out) / name, rows)


def print_summary(summary: Mapping[str, Any], directory: Path) -> None:
    """Print the result of a training run."""
    reached = summary["steps_to_target"]
    target = summary["target_return"]
    if target is None:
        verdict = ""
    elif reached is None:
        verdict = f"; target {target:g} not reached"
    else:
        verdict = f"; target {target:g} reached after {reached} steps"
    say(
        f"return {summary['return_mean']:.1f} ± {summary['return_std']:.1f} over "
        f"{summary['eval_episodes']} episodes after {summary['env_steps']} steps of "
        f"experience, {summary['wall_seconds']:.0f} s{verdict}"
    )
    for note in summary.get("notes", []):
        say(f"note: {note}")
    drawn = ("learning_curve.png", "rollout.gif", "energy.png")
    there = [name for name in drawn if (directory / name).exists()]
    say(f"the run is in {directory}: {', '.join(there)}, ...")


def print_seeds(summary: Mapping[str, Any], directory: Path) -> None:
    """Print the result of a training run of several seeds."""
    count, interval = len(summary["seeds"]), summary["return_interval"]
    between = ""
    if interval is not None:
        between = f" (95 % from {interval[0]:.1f} to {interval[1]:.1f})"
    reached = [steps for steps in summary["steps_to_target"] if steps is not None]
    verdict = ""
    if summary["target_return"] is not None:
        verdict = f"; target {summary['target_return']:g} reached by {len(reached)} of {count}"
    say(
        f"return {summary['return_interquartile_mean']:.1f}{between}, the interquartile mean "
        f"over {count} seeds after {summary['env_steps']} steps of experience, "
        f"{summary['wall_seconds']:.0f} s{verdict}"
    )
    say(f"the runs are in {directory}: learning_curve.png, summary.json, seed-...")


def parameter_line(parameter: Mapping[str, Any]) -> str:
    """Describe a parameter of a known system: start, estimate and interval of each number."""
    start, fitted, intervals = (
        _flat(parameter[name], depth)
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


def _flat(values: Any, depth: int) -> list[Any]:
    """List the entries of nested lists; those of depth 1 are pairs of numbers."""
    if values is None:
        return [None]
    if not isinstance(values, list) or (
        depth == 1 and len(values) == 2 and all(isinstance(x, float) for x in values)
    ):
        return [values]
    return [entry for each in values for entry in _flat(each, depth)]


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
    say(f"the run is in {directory}: report.json, learning_curve.png, phase.png, ...")


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
    say(f"-> {directory}: results.json and pictures")
