"""Make the tables and figures of the docs from the stored runs, without training.

    python benchmarks/tables.py          # writes docs/outputs/*.txt and docs/images/*.png
    python benchmarks/tables.py --json   # prints the same figures and writes nothing

Returns are means of the last tenth of a run's evaluations. Over seeds they are interquartile
means with 95 % bootstrap intervals (Agarwal et al. 2021). A seed that misses a target counts
as infinite. The column `seeds` counts the stored seeds: `2 of 5`.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _ablations import DEFAULTS, HEADS, Ablation, in_order, plot_ablations, spoken, worth
from _arms import arm_commits, arm_entries, arm_machines, arm_tables
from _bounds import STORED, bound_commits, bound_entries, bound_machines, bound_table
from _leaderboard_table import leaderboard_entries, leaderboard_tables
from _ledger import RESULTS, Ledger, read_ledger
from _panels import Panel, plot_panels
from _protocols import ABLATIONS, HERE, NUMERICS, PROTOCOLS, Protocol, read_protocols
from _summaries import (
    Published,
    Row,
    aggregate,
    compare_models,
    machine_of,
    read_published,
    seed_row,
    suite_scores,
    summary_of,
    target_of,
)

from lagdyna import UserError
from lagdyna.reproductions.ramesh2023_suite import PAPER, published
from lagdyna.results import make_directory, write_text

DOCS = HERE.parent / "docs"
ORDER = [*PAPER]
MODELS = ("delan", "mlp")
SCORED = ("realaigym-", "pilco-")  # tasks with a score besides the return


class Tables:
    """Tables and figures of the stored runs.

    **Arguments:** `results`, `protocols`: folders of the stored runs and of the protocols;
    `bounds`: folder of the best returns found.

    **Raises:** `UserError` if a file in one of them is damaged.
    """

    def __init__(
        self, results: Path = RESULTS, protocols: Path = PROTOCOLS, bounds: Path = STORED
    ):
        self.bounds = bounds
        self.protocols = sorted(read_protocols(protocols), key=_place)
        self.ledger: Ledger = read_ledger(self.protocols, results)
        self.published: Published = read_published()

    def target(self, protocol: Protocol) -> float | None:
        """Look up the target return of a protocol."""
        return target_of(protocol, self.published)

    def row(self, protocol: Protocol) -> Row:
        """Summarise the runs of a protocol."""
        return summary_of(protocol, self.ledger.runs_of(protocol), self.target(protocol))

    def of(self, group: str) -> list[Protocol]:
        """List the protocols of a group."""
        return [protocol for protocol in self.protocols if protocol.group == group]

    def compared(self) -> dict[str, Row]:
        """Compare the DeLaN with the network on each task of the suite."""
        runs = {(p.task, p.variant): self.ledger.runs_of(p) for p in self.of("suite")}
        tasks = dict.fromkeys(task for task, _ in runs)
        return {
            task: compare_models(task, *(runs.get((task, model), []) for model in MODELS))
            for task in tasks
            if task in PAPER
        }

    def json(self) -> dict[str, Any]:
        """Collect the figures of every table as plain values."""
        found: dict[str, Any] = {
            group: {} for group in dict.fromkeys(each.group for each in self.protocols)
        }
        for protocol in self.protocols:
            row = {**self.row(protocol), "fingerprint": protocol.fingerprint}
            found[protocol.group].setdefault(protocol.task, {})[protocol.variant] = row
        found["suite_models"] = self.compared()
        found["suite_aggregate"] = {
            model: aggregate(suite_scores(self.ledger, self.protocols, model))
            for model in MODELS
        }
        found["left_out"] = self.ledger.left_out
        found["numerics"] = NUMERICS
        found["arms"] = arm_entries()
        found["bounds"] = bound_entries(self.bounds)
        found["leaderboard"] = leaderboard_entries()
        return found

    def texts(self) -> dict[str, str]:
        """Make the Markdown tables, by file name."""
        return {
            "suite_tasks": _table(*self._suite_tasks()),
            "suite_models": self._suite_models(),
            "suite_bounds": _table(*self._suite_bounds()),
            "suite_seeds": _table(*self._seeds("suite", "to 95 %", ERRORS)),
            "yardsticks": _table(*self._solved("yardsticks")),
            "yardsticks_scores": _table(*self._scores("yardsticks")),
            "yardsticks_published": self._published("yardsticks"),
            "yardsticks_seeds": _table(*self._seeds("yardsticks", "to target", ())),
            "agents": _table(*self._solved("agents")),
            "agents_seeds": _table(*self._seeds("agents", "to target", ())),
            **{f"{group}_missing": self._missing(group) for group in ("yardsticks", "agents")},
            "ablations": self._ablations(),
            "left_out": self._left_out(),
            "machines": _table(*self._machines()),
            "provenance": _table(*self._provenance()),
            **{name: _table(*table) for name, table in arm_tables().items()},
            **{name: _table(*table) for name, table in self._leaderboard().items()},
        }

    def _leaderboard(self) -> dict[str, tuple[tuple[str, ...], list[list[str]]]]:
        return leaderboard_tables(self.published.of)

    def _suite_tasks(self) -> tuple[tuple[str, ...], list[list[str]]]:
        heads = ("task", "model", "seeds", "steps", "to 95 %", "paper's steps", "return")
        heads += ("95 %", "paper's", "one-step error", "paper's", "s")
        lines = []
        for protocol in self.of("suite"):
            row, paper = self.row(protocol), published(f"{protocol.task}.{protocol.variant}")
            cells = [protocol.task, f"`{protocol.variant}`", _seeds(row), _number(row["steps"])]
            cells += [_reached(row, "steps_to_95"), _number(paper.steps)]
            cells += [_number(row["return"]), _interval(row), _number(paper.value)]
            cells += [_error(row["one_step_l1"]), _error(paper.error)]
            lines.append([*cells, _number(row["seconds"])])
        return heads, lines

    def _suite_models(self) -> str:
        heads = ("task", "coordinates", "seeds: DeLaN, MLP", "DeLaN has the higher return")
        sizes = {each.task: len(each.config.task.coordinates) for each in self.of("suite")}
        lines = [
            [
                task,
                str(sizes[task]),
                ", ".join(map(str, row["seeds"])),
                _probability(row.get("better_return")),
                _probability(row.get("fewer_steps")),
            ]
            for task, row in self.compared().items()
            if all(row["seeds"])
        ]
        if not lines:
            return "No task has stored runs of both models yet.\n"
        return _table((*heads, "DeLaN needs fewer steps"), lines)

    def ablations(self) -> list[Ablation]:
        """Summarise the ablations of the default agent."""
        changed = self.of(ABLATIONS)
        lengths = {(x.task, x.config.steps) for x in changed if self.ledger.runs_of(x)}
        # Runs of the suite that are as long are the defaults of their task.
        shown = [
            (DEFAULTS, each)
            for each in self.of("suite")
            if each.variant == MODELS[0] and (each.task, each.config.steps) in lengths
        ]
        shown += [(each.variant, each) for each in changed]
        return [
            Ablation(each.task, change, self.row(each), self.ledger.runs_of(each))
            for change, each in shown
        ]

    def _ablations(self) -> str:
        found = self.ablations()
        lines = []
        for each in in_order(found):
            cells = [f"`{each.task}`", spoken(each.change), _seeds(each.row)]
            cells += [_number(each.row["return"]), _interval(each.row)]
            # The suite's target is a fraction of the paper's return, so its name differs.
            name = next(x for x in each.row if x.startswith("steps_to_"))
            cells += [_probability(worth(each, found)), _reached(each.row, name)]
            lines.append([*cells, _error(each.row.get("one_step_l1"))])
        return _table(HEADS, lines) if lines else "No ablation has a stored run yet.\n"

    def _suite_bounds(self) -> tuple[tuple[str, ...], list[list[str]]]:
        agents: dict[str, dict[str, float | None]] = {}
        for protocol in self.of("suite"):
            row = self.row(protocol)
            agents.setdefault(protocol.task, {})[protocol.variant] = row["return"]
        return bound_table(agents, self.bounds)

    def _solved(self, group: str) -> tuple[tuple[str, ...], list[list[str]]]:
        heads = ("task", "agent", "seeds", "steps", "decisions", "experience, s", "return")
        heads += ("95 %", "target", "steps to it", "held", "s")
        tasks = {protocol.task for protocol in self.of(group)}
        # The runs of the default agent are in the group `yardsticks`.
        default = [each for each in self.of("yardsticks") if each.task in tasks]
        lines = []
        for protocol in dict.fromkeys([*default, *self.of(group)]):
            row = self.row(protocol)
            if not row["seeds"]:
                continue
            cells = [f"`{protocol.task}`", f"`{protocol.variant}`", _seeds(row)]
            cells += [_number(row[name]) for name in ("steps", "decisions")]
            cells += [_number(row["experience_seconds"]), _number(row["return"])]
            cells += [_interval(row), _number(row["target"]), _reached(row, "steps_to_target")]
            held = f"{row['held']} of {row['reached']}" if row["reached"] else ""
            lines.append([*cells, held, _number(row["seconds"])])
        return heads, lines

    def _published(self, group: str) -> str:
        heads = ("task", "method", "steps", "experience, s", "return", "score", "robustness")
        lines, sources = [], {}
        for task in dict.fromkeys(protocol.task for protocol in self.of(group)):
            for each in self.published.of(task):
                cells = [f"`{task}`", each.method, _number(each.steps), _number(each.seconds)]
                cells += [_number(x) for x in (each.value, each.score, each.robustness)]
                lines.append([*cells, each.source])
                sources[each.source] = self.published.sources[each.source]
        notes = "".join(f"- {name}: {text}\n" for name, text in sources.items())
        return f"{_table((*heads, 'source'), lines)}\n{notes}"

    def _scores(self, group: str) -> tuple[tuple[str, ...], list[list[str]]]:
        heads = ("task", "agent", "seeds", "experience, s", "success", "score", "robustness")
        lines = []
        for protocol in self.of(group):
            row = self.row(protocol)
            if row["seeds"] and protocol.task.startswith(SCORED):
                cells = [f"`{protocol.task}`", f"`{protocol.variant}`", _seeds(row)]
                cells += [_number(row["experience_seconds"])]
                lines.append([*cells, *(_number(row.get(x)) for x in heads[4:])])
        return heads, lines

    def _seeds(
        self, group: str, target: str, figures: tuple[str, ...]
    ) -> tuple[tuple[str, ...], list[list[str]]]:
        heads = ("task", "variant", "seed", "return", target, *figures, "s", "at once")
        lines = []
        for protocol in self.of(group):
            for run in self.ledger.runs_of(protocol):
                row = seed_row(run, self.target(protocol))
                cells = [f"`{protocol.task}`", f"`{protocol.variant}`", str(run.seed)]
                cells += [_number(row["return"]), _number(row["to_target"], "never")]
                cells += [_number(row.get(name)) for name in figures]
                cells += [_number(run.seconds), str(run.at_once)]
                lines.append(cells)
        return heads, lines

    def _missing(self, group: str) -> str:
        """Name the protocols of a group that have no stored run."""
        missing = [p for p in self.of(group) if not self.row(p)["seeds"]]
        if not missing:
            return ""
        tasks: dict[str, list[str]] = {}
        for each in missing:
            tasks.setdefault(each.task, []).append(f"`{each.variant}`")
        variants: dict[str, list[str]] = {}
        for task, names in tasks.items():
            variants.setdefault(", ".join(names), []).append(f"`{task}`")
        lines = [f"- {', '.join(each)} with {names}\n" for names, each in variants.items()]
        return f"Without a stored run:\n\n{''.join(lines)}"

    def _machines(self) -> tuple[tuple[str, ...], list[list[str]]]:
        """List the machines of the stored figures."""
        found: dict[str, list[str]] = {}
        for protocol in self.protocols:
            runs = self.ledger.runs_of(protocol)
            found.setdefault(protocol.group, []).extend(machine_of(x.machine) for x in runs)
        found["best returns"] = bound_machines(self.bounds)
        found["arms"] = arm_machines()
        found["leaderboard"] = [machine_of(each["about"]) for each in leaderboard_entries()]
        lines = [[name, "; ".join(dict.fromkeys(each))] for name, each in found.items() if each]
        return ("figures", "machine"), lines

    def _provenance(self) -> tuple[tuple[str, ...], list[list[str]]]:
        """List the versions and commits of the stored figures."""
        rows = [
            (protocol.name, str(run.seed), run.lagdyna, run.commit or "unknown")
            for protocol in self.protocols
            for run in self.ledger.runs_of(protocol)
        ]
        rows += [(f"bounds/{name}", *rest) for name, *rest in bound_commits(self.bounds)]
        rows += [
            (f"leaderboard/{x['robot']}.{x['model']}", str(x["seed"]), "", x["about"]["commit"])
            for x in leaderboard_entries()
        ]
        seeds: dict[tuple[str, str, str], list[str]] = {}
        for name, seed, version, commit in (*rows, *arm_commits()):
            seeds.setdefault((name, version, commit), []).append(seed)
        lines = [
            [f"`{name}`", ", ".join(each), version, f"`{commit}`"]
            for (name, version, commit), each in seeds.items()
        ]
        return ("stored figures", "seeds", "version", "commit"), lines

    def _left_out(self) -> str:
        if not self.ledger.left_out:
            return "All stored runs are of the present protocols and numerics.\n"
        lines = [f"- `{name}`: {count}" for name, count in sorted(self.ledger.left_out.items())]
        return "Stored runs of earlier protocols or numerics, in no table:\n\n" + (
            "\n".join(lines) + "\n"
        )

    def plot(self, folder: Path) -> None:
        """Draw the learning curves of each group, and the ablations."""
        plot_ablations(folder / "ablations.png", self.ablations())
        for group in dict.fromkeys(protocol.group for protocol in self.protocols):
            if group == ABLATIONS:
                continue
            plot_panels(folder / f"{group}.png", self._panels(group))

    def _panels(self, group: str) -> list[Panel]:
        panels: dict[str, Panel] = {}
        tasks = {protocol.task for protocol in self.of(group)}
        shown = [each for each in self.protocols if each.group in (group, "yardsticks")]
        shown = [each for each in shown if each.task in tasks]
        for protocol in shown:
            same = [x for x in shown if x.task == protocol.task]
            # Without the steps of runs that are not stored, which would squeeze the others.
            same = [x for x in same if self.ledger.runs_of(x)] or same
            steps = max(x.config.steps or 0 for x in same)
            panel = panels.setdefault(protocol.task, Panel(protocol.task, steps, {}, {}))
            runs = self.ledger.runs_of(protocol)
            panel.curves[protocol.variant] = [run.curve for run in runs]
            if group == "suite":
                panel.lines["paper's LNN"] = PAPER[protocol.task].delan.value
            elif (target := self.target(protocol)) is not None:
                panel.lines["target"] = target
        return [*panels.values()]


ERRORS = ("one_step_l1", "observed_l1", "held_l1")


def _place(protocol: Protocol) -> tuple[str, int, str, str]:
    """Order protocols by group, then as in the paper, then by name."""
    known = ORDER.index(protocol.task) if protocol.task in ORDER else len(ORDER)
    return protocol.group, known, protocol.task, protocol.variant


def _number(value: float | None, missing: str = "") -> str:
    """Format a number; errors, which are small, in units of 1e-5."""
    if value is None:
        return missing
    if 0 < value < 0.01:
        return f"{1e5 * value:.1f}e-5"
    return f"{value:.3g}" if abs(value) < 20 else f"{value:,.0f}"


def _error(value: float | None) -> str:
    return "" if value is None else f"{1e5 * value:.1f}e-5"


def _seeds(row: Row) -> str:
    return f"{row['seeds']} of {row['of']}"


def _interval(row: Row) -> str:
    if row["return_low"] is None:
        return ""
    return f"{_number(row['return_low'])} to {_number(row['return_high'])}"


def _reached(row: Row, name: str) -> str:
    """Format the steps to a target, and how many seeds reached it."""
    if not row["seeds"] or row["target"] is None:
        return ""
    cell = _number(row[name], "never")
    there, seeds = row["reached"], row["seeds"]
    return cell if there in (0, seeds) else f"{cell} ({there} of {seeds})"


def _probability(found: Sequence[float | None] | None) -> str:
    if found is None:
        return ""
    value, low, high = found
    return f"{value:.2f}" if low is None else f"{value:.2f} ({low:.2f} to {high:.2f})"


def _table(heads: tuple[str, ...], lines: list[list[str]]) -> str:
    """Write a Markdown table."""
    rows = [[*heads], ["---"] * len(heads), *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows).replace("| --- ", "|---")


def main() -> int:
    """Write the tables and figures, or print them as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder to write to")
    args = parser.parse_args()
    try:
        tables = Tables()
        if args.json:
            print(json.dumps(tables.json(), indent=2, allow_nan=False))
            return 0
        outputs = make_directory(args.docs / "outputs")
        for name, text in tables.texts().items():
            write_text(outputs / f"{name}.txt", text)
            print(f"-> {outputs / name}.txt")
        tables.plot(make_directory(args.docs / "images"))
    except UserError as error:
        print(f"tables: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
