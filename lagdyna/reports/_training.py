"""Reports of training runs, of one seed and of several."""

import shlex
from pathlib import Path
from typing import Any

from .._text import cell, seeds_result, training_result, with_interval
from ..results import (
    SEEDS_FILE,
    SeedsFile,
    SeedsSummary,
    TrainRecord,
    TrainSummary,
    digest_of,
    digest_of_lines,
    read_metrics,
    read_sealed,
)
from ._directory import (
    REPORT,
    circumstances,
    config_text,
    date_of,
    files_table,
    link_to,
    pictures,
)
from ._page import Command, Page, Table, thinned

_SHOWN = 12  # rows of a table that is open at first


def training_page(run: Path) -> Page:
    """Describe a finished training run of one seed."""
    records = read_metrics(run / "metrics.jsonl", TrainRecord)
    path = run / "summary.json"
    summary = read_sealed(path, TrainSummary, digest_of_lines(records))[1]
    shown, left_out = pictures(run)
    return Page(
        title=summary["task"],
        kind=f"training run · {_parts(summary)} · seed {cell(summary.get('seed'))}",
        date=date_of(path),
        result=_sentence(training_result(summary)),
        facts=[
            (
                f"return over {summary['eval_episodes']} episodes",
                f"{summary['return_mean']:.1f} ± {summary['return_std']:.1f}",
            ),
            *_target(summary, "steps_to_target"),
            ("steps of experience", cell(summary["env_steps"])),
            ("time", _duration(summary["wall_seconds"])),
        ],
        notes=list(summary.get("notes") or []),
        pictures=shown,
        left_out=left_out,
        tables=[_evaluations(records), _rounds(records)],
        config=config_text(run),
        circumstances=circumstances(run, summary),
        files=files_table(run),
        commands=_training_commands(run, summary),
    )


def seeds_page(run: Path) -> Page:
    """Describe a finished training run of several seeds."""
    seeds = read_sealed(run / SEEDS_FILE, SeedsFile)[0].seeds
    directories = [run / f"seed-{seed}" for seed in seeds]
    records = [read_metrics(each / "metrics.jsonl", TrainRecord) for each in directories]
    path = run / "summary.json"
    digest = digest_of([digest_of_lines(lines) for lines in records])
    summary = read_sealed(path, SeedsSummary, digest)[1]
    shown, left_out = pictures(run)
    mean, interval = summary["return_interquartile_mean"], summary["return_interval"]
    task = summary.get("task") or "training run"
    return Page(
        title=f"{task}, {len(seeds)} seeds",
        kind=f"training run of several seeds · {_parts(summary)}",
        date=date_of(path),
        result=_sentence(seeds_result(summary)),
        facts=[
            ("return, interquartile mean (95 %)", with_interval(mean, interval)),
            *_reached(summary),
            ("steps of experience, each", cell(summary["env_steps"])),
            ("time", _duration(summary["wall_seconds"])),
        ],
        notes=list(summary.get("notes") or []),
        pictures=shown,
        left_out=left_out,
        tables=[_seeds(run, seeds, summary)],
        config=config_text(directories[0]),
        circumstances=circumstances(run, summary),
        files=files_table(run),
        commands=_seeds_commands(run, seeds, summary),
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _duration(seconds: float) -> str:
    """Format a duration, in the larger of two units."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"


def _parts(summary: dict[str, Any]) -> str:
    names = ("agent", "model", "learner", "solver")
    return " · ".join(f"{name} {summary[name]}" for name in names if summary.get(name))


def _target(summary: dict[str, Any], key: str) -> list[tuple[str, str]]:
    if summary["target_return"] is None:
        return []
    steps = summary[key]
    reached = "not reached" if steps is None else f"{steps} steps"
    return [(f"steps to a return of {summary['target_return']:g}", reached)]


def _reached(summary: dict[str, Any]) -> list[tuple[str, str]]:
    if summary["target_return"] is None:
        return []
    steps = summary["steps_to_target"]
    count = sum(each is not None for each in steps)
    name = f"reached a return of {summary['target_return']:g}"
    return [(name, f"{count} of {len(steps)} seeds")]


def _evaluations(records: list[dict[str, Any]]) -> Table:
    rows = [
        (cell(each["env_steps"]), cell(each["return_mean"]), cell(each["return_std"]))
        for record in records
        for each in record["evaluations"]
    ]
    columns = ("steps of experience", "mean return", "standard deviation")
    heading = f"Evaluations ({len(rows)})"
    table = Table(heading, columns, rows, folded=len(rows) > _SHOWN)
    return thinned(table, "metrics.jsonl")


def _rounds(records: list[dict[str, Any]]) -> Table:
    """Tabulate the numbers of each round."""
    names = [
        name
        for name, value in (records[-1] if records else {}).items()
        if not isinstance(value, dict | list)
    ]
    rows = [tuple(cell(record.get(name)) for name in names) for record in records]
    columns = tuple(name.replace("_", " ") for name in names)
    table = Table(f"Rounds ({len(rows)})", columns, rows, folded=True)
    return thinned(table, "metrics.jsonl")


def _seeds(run: Path, seeds: list[int], summary: dict[str, Any]) -> Table:
    returns = summary.get("returns") or [None] * len(seeds)
    rows = [
        (f"seed {seed}", cell(value), cell(steps) if steps is not None else "not reached")
        for seed, value, steps in zip(seeds, returns, summary["steps_to_target"], strict=True)
    ]
    links = tuple(link_to(run, f"seed-{seed}/{REPORT}") for seed in seeds)
    note = ""
    if summary["target_return"] is None:
        rows = [row[:2] for row in rows]
    if summary.get("return_mean") is not None:
        mean, std = summary["return_mean"], summary["return_std"]
        note = f"mean over seeds {mean:.4g}, standard deviation {std:.3g}"
    columns = ("seed", "return", "steps to the target")[: len(rows[0])]
    return Table("Seeds", columns, rows, note, links=links)


def _training_commands(run: Path, summary: dict[str, Any]) -> list[Command]:
    name, more = shlex.quote(str(run)), 2 * summary["env_steps"]
    return [
        Command("Evaluate the policy on new episodes:", f"lagdyna evaluate {name}"),
        Command(
            "Give the run more steps of experience:", f"lagdyna resume {name} --steps {more}"
        ),
        Command(
            "Compare it with another run of the task:",
            f"lagdyna compare {name} OTHER_RUN --out runs/comparison",
        ),
        Command("Export the policy for other programs:", f"lagdyna export {name}"),
        Command("Repeat the run:", f"lagdyna train --config {_config(run)}"),
        Command(
            "Use it in Python:",
            f"""import lagdyna

policy = lagdyna.load_policy({str(run)!r})
action, _ = policy.predict(observation)

run = lagdyna.load({str(run)!r})
figure = lagdyna.plot.learning_curve(run.records, title=run.config.task.env_id)
lagdyna.plot.save(figure, "learning_curve.pdf")""",
        ),
    ]


def _config(run: Path) -> str:
    return shlex.quote(str(run / "config.toml"))


def _seeds_commands(run: Path, seeds: list[int], summary: dict[str, Any]) -> list[Command]:
    name, more = shlex.quote(str(run)), 2 * summary["env_steps"]
    one = run / f"seed-{seeds[0]}"
    return [
        Command(
            "Give all seeds more steps of experience:", f"lagdyna resume {name} --steps {more}"
        ),
        Command(
            "Compare them with the seeds of another run:",
            f"lagdyna compare {name} OTHER_RUN --out runs/comparison",
        ),
        Command(
            "Evaluate the policy of one seed:", f"lagdyna evaluate {shlex.quote(str(one))}"
        ),
        Command(
            "Repeat the run:",
            f"lagdyna train --config {_config(one)} --seeds {len(seeds)}",
        ),
        Command(
            "Draw the learning curves in Python:",
            f"""from pathlib import Path

import lagdyna

run = Path({str(run)!r})
runs = [lagdyna.load(run / f"seed-{{seed}}") for seed in {seeds}]
figure = lagdyna.plot.learning_curves([run.records for run in runs])
lagdyna.plot.save(figure, "learning_curves.pdf")""",
        ),
    ]
