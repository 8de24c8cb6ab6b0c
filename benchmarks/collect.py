"""Add finished runs to the ledger in `results/`, or list the commands of missing ones.

    python benchmarks/collect.py runs/suite/acrobot.delan-0 runs/suite/acrobot.delan-1
    python benchmarks/collect.py --missing
    python benchmarks/collect.py --missing suite

A run is a directory of `lagdyna train`, with or without `--seeds`. The fingerprint of its
config identifies its protocol. All runs are checked before any is added. This script computes
the figures that need the weights, such as the one-step error, since weights are not stored.
`--missing` lists the cheapest runs first.
"""

import argparse
import math
import shlex
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _ledger import RESULTS, Ledger, Stored, read_ledger, write_run
from _protocols import ABLATIONS, PROTOCOLS, Protocol, fingerprint_of, plain, read_protocols

from lagdyna import UserError
from lagdyna.config import Config
from lagdyna.options import differences
from lagdyna.results import NUMERICS, TrainRecord, kind_of, read_metrics, run_facts
from lagdyna.runs import config_of, directories_of
from lagdyna.runs._directory import checkpoint_of, finished_summary

Figures = dict[str, float | None]


def collect(
    runs: list[Path],
    results: Path = RESULTS,
    protocols: Path = PROTOCOLS,
    figures: Callable[[Path, Protocol], Figures] | None = None,
) -> list[Path]:
    """Add finished runs to the ledger: all of them, or none.

    **Arguments:**

    - `runs`: directories of finished runs.
    - `results`, `protocols`: folders of the stored runs and of the protocols.
    - `figures`: computes the figures of the final model or policy of a run; by default
        `model_figures`.

    **Returns:** paths of the new files.

    **Raises:** `UserError` if a run or the ledger cannot be used. No file is written then.
    """
    known = read_protocols(protocols)
    ledger = read_ledger(known, results)
    seeds = [each for run in runs for each in _seeds_of(run)]
    checked = [(run, *_checked(run, known)) for run, _ in seeds]
    taken: dict[tuple[str, int], str] = {
        (protocol.name, run.seed): "the ledger"
        for protocol in known
        for run in ledger.runs_of(protocol)
    }
    for run, protocol, config, _ in checked:
        key = protocol.name, config.seed
        if key in taken:
            raise UserError(
                f"{str(run)!r} is seed {config.seed} of {protocol.name!r}, which is in "
                f"{taken[key]} already"
            )
        taken[key] = repr(str(run))
    made = [
        _stored(run, protocol, config, summary, at_once, figures or model_figures)
        for (run, protocol, config, summary), (_, at_once) in zip(checked, seeds, strict=True)
    ]
    written: list[Path] = []
    try:
        for each in made:
            written.append(write_run(each, results))
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise
    return written


def _seeds_of(run: Path) -> list[tuple[Path, int]]:
    """List the directory of each seed of a run, with the number of seeds run together."""
    kind = kind_of(run)
    if kind not in ("train", "seeds"):
        held = "no run" if kind is None else f"a run of another kind, {kind!r}"
        hint = "; the runs inside of it are accepted" if kind == "reproduction" else ""
        raise UserError(
            f"{str(run)!r} holds {held}; the directory of a finished `lagdyna train` is "
            f"accepted{hint}"
        )
    if kind == "train":
        return [(run, 1)]
    directories = directories_of(run)
    _finished(run, directories)
    return [(each, len(directories)) for each in directories]


def _finished(run: Path, seeds: list[Path] | None = None) -> dict[str, Any]:
    summary = finished_summary(run, seeds)
    if summary is None:
        raise UserError(
            f"{str(run)!r} is not finished; once `lagdyna resume {run}` has finished it, "
            "collect it again"
        )
    return summary


def _checked(run: Path, known: list[Protocol]) -> tuple[Protocol, Config, dict[str, Any]]:
    """Check a run of one seed, and look up its protocol.

    **Raises:** `UserError` if the run cannot be stored.
    """
    summary = _finished(run)
    if not checkpoint_of(run).is_file():
        raise UserError(
            f"{str(run)!r} has no checkpoint, with which its config is compared; give the "
            "whole directory of the run"
        )
    config, facts = config_of(run), run_facts(run)
    seed, seconds = summary.get("seed"), summary["wall_seconds"]
    if type(seed) is not int or seed != config.seed:
        raise UserError(
            f"{str(run)!r} has the seed {seed!r} in 'summary.json' and {config.seed} in "
            "'config.toml'; a run with the same seed in both is accepted"
        )
    if not (math.isfinite(seconds) and seconds > 0):
        raise UserError(
            f"{str(run)!r} took {seconds} seconds by 'summary.json'; a run that says how long "
            "it took is accepted"
        )
    versions = {facts.numerics, summary.get("numerics")}
    if versions != {NUMERICS}:
        shown = ", ".join(sorted("unknown" if x is None else str(x) for x in versions))
        raise UserError(
            f"{str(run)!r} is of version {shown} of the numerics, this lagdyna of version "
            f"{NUMERICS}; collect it with the lagdyna that ran it, or run it again"
        )
    if facts.given or facts.precision != "float32":
        what = f"with {facts.given[0]!r} given in Python" if facts.given else "in float64"
        raise UserError(f"{str(run)!r} ran {what}, which no protocol does; run it without")
    if facts.steps != config.steps:
        raise UserError(
            f"{str(run)!r} was begun with {facts.steps} steps and extended to {config.steps}, "
            f"which no protocol does; train a new run with {config.steps} steps"
        )
    return _protocol_of(run, config, known), config, summary


def _protocol_of(run: Path, config: Config, known: list[Protocol]) -> Protocol:
    mark = fingerprint_of(config)
    for protocol in known:
        if protocol.fingerprint == mark:
            return protocol
    near = [each for each in known if each.config.task.env_id == config.task.env_id]
    if not near:
        tasks = sorted({each.task for each in known})
        raise UserError(
            f"{str(run)!r} is of the task {config.task.env_id!r}, of which there is no table; "
            f"those of {', '.join(tasks)} are accepted"
        )
    others = [(differences(_compared(each.config), _compared(config)), each) for each in near]
    found, nearest = min(others, key=lambda pair: len(pair[0]))
    raise UserError(
        f"{str(run)!r} is of no protocol; of {nearest.name!r}, the nearest, "
        f"{'; '.join(found[:3])}{'; ...' if len(found) > 3 else ''}"
    )


def _compared(config: Config) -> dict[str, Any]:
    return {name: each for name, each in plain(config).items() if name != "seed"}


def _stored(
    run: Path,
    protocol: Protocol,
    config: Config,
    summary: dict[str, Any],
    at_once: int,
    figures: Callable[[Path, Protocol], Figures],
) -> Stored:
    versions = dict(summary["versions"])
    return Stored(
        protocol=protocol.name,
        seed=config.seed,
        seconds=summary["wall_seconds"],
        at_once=at_once,
        numerics=NUMERICS,
        lagdyna=versions.pop("lagdyna"),
        commit=summary.get("commit"),
        versions=versions,
        device=summary["device"],
        machine=summary.get("machine", {}),
        config=plain(config),
        figures=figures(run, protocol),
        metrics=read_metrics(run / "metrics.jsonl", TrainRecord),
    )


def model_figures(run: Path, protocol: Protocol) -> Figures:
    """Compute the figures of the final model or policy for the tables of its task."""
    if protocol.group in ("suite", ABLATIONS):
        return _model_errors(run)
    for start, figures in SCORES.items():
        if protocol.task.startswith(start):
            return figures(run)
    return {}


def _model_errors(run: Path) -> Figures:
    """Compute the one-step errors as `lagdyna reproduce ramesh2023-suite` does."""
    from lagdyna.reproductions.ramesh2023_suite._model_error import model_errors
    from lagdyna.runs import load_run

    made = {name: float(each) for name, each in model_errors(load_run(run)).items()}
    # A network that predicts whole actions has no error over the task's `dt`.
    known = math.isfinite(made["l1"])
    return {
        "one_step_l1": made["l1" if known else "held_l1"],
        "observed_l1": made["observed" if known else "held_observed"],
        "held_l1": made["held_l1"],
    }


def _realaigym_scores(run: Path) -> Figures:
    """Compute the scores of RealAIGym's leaderboard, which takes minutes."""
    from realaigym import score_of_run  # pyright: ignore[reportMissingImports]

    found = score_of_run(run, robustness=True)
    return {
        "success": float(found["performance"]["success"]),
        "score": found["performance"]["score"],
        "robustness": found["robustness"]["score"],
    }


def _pilco_success(run: Path) -> Figures:
    """Compute the fraction of new trials that succeed by PILCO's criterion."""
    from pilco import success_of_run  # pyright: ignore[reportMissingImports]

    return {"success": success_of_run(run)["success"]}


# Functions that compute further figures, by the start of a task's name.
SCORES: dict[str, Callable[[Path], Figures]] = {
    "realaigym-": _realaigym_scores,
    "pilco-": _pilco_success,
}


def missing(
    group: str | None = None, results: Path = RESULTS, protocols: Path = PROTOCOLS
) -> list[str]:
    """List the commands of missing seeds, the shortest runs first.

    **Raises:** `UserError` if the group is unknown, or the ledger is damaged.
    """
    known = read_protocols(protocols)
    groups = sorted({protocol.group for protocol in known})
    if group is not None and group not in groups:
        raise UserError(f"`--missing` was {group!r}; {', '.join(groups)} are accepted")
    ledger = read_ledger(known, results)
    wanted = [each for each in known if group in (None, each.group)]
    wanted.sort(key=lambda protocol: (_seconds(ledger, protocol), protocol.name))
    return [
        _command(protocol, seed)
        for protocol in wanted
        for seed in sorted({*protocol.seeds} - {run.seed for run in ledger.runs_of(protocol)})
    ]


def _seconds(ledger: Ledger, protocol: Protocol) -> float:
    alone = [run.seconds for run in ledger.runs_of(protocol) if run.at_once == 1]
    return statistics.median(alone) if alone else protocol.estimate


def _command(protocol: Protocol, seed: int) -> str:
    path = protocol.path
    if path.is_relative_to(PROTOCOLS):
        path = Path("benchmarks", "protocols", path.relative_to(PROTOCOLS))
    config = shlex.quote(str(path))
    return f"lagdyna train --config {config} --seed {seed} --out runs/{protocol.name}-{seed}"


def main() -> int:
    """Add runs, or print the commands of missing runs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="*", type=Path, help="directories of finished runs")
    parser.add_argument(
        "--missing",
        nargs="?",
        const="",
        metavar="GROUP",
        help="list missing runs, or those of a group",
    )
    args = parser.parse_args()
    try:
        if args.missing is not None:
            for command in missing(args.missing or None):
                print(command)
        elif not args.runs:
            raise UserError("no run was given; directories of finished runs are accepted")
        else:
            for path in collect(args.runs):
                print(f"-> {path}")
    except UserError as error:
        print(f"collect: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
