"""Comparison of agents on one task, each over its seeds."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from .._errors import UserError
from ..config import config_from_table
from ..options import read_table
from ..plot import comparison, save
from ..reports import try_report
from ..results import (
    Curve,
    TrainRecord,
    evaluations_of,
    kind_of,
    new_directory,
    read_metrics,
    steps_to,
    write_json,
)
from ..statistics import Improvement, improvement, interquartile_mean, interval, sooner
from ..tasks import TaskSpec
from ._cautions import run_label, training_cautions
from ._directory import finished_summary
from ._seeds import directories_of

Row = dict[str, Any]


class Agents(NamedTuple):
    """Runs of one agent.

    **Attributes:** `name`, of the directory; `task`; `ends`, the last return of each seed;
    `evaluations`, the steps and returns of each seed; `parts`, the names of agent, model and
    learner; `configs`, of each seed, as tables.
    """

    name: str
    task: TaskSpec
    ends: Float[np.ndarray, " seeds"]
    evaluations: list[Curve]
    parts: dict[str, Any]
    configs: list[dict[str, Any]]

    def steps_to(self, target: float) -> Float[np.ndarray, " seeds"]:
        """Find the steps of each seed's first evaluation at the target or above, else `nan`."""
        return np.asarray([steps_to(*curve, target) for curve in self.evaluations])

    @property
    def seeds(self) -> list[int]:
        """Seeds of the runs."""
        return [int(table.get("seed", 0)) for table in self.configs]

    @property
    def last(self) -> int:
        """Steps of the last evaluation."""
        return max(int(steps[-1]) for steps, _ in self.evaluations)


def compare_training(
    runs: list[str | Path], out: str | Path | None = None, target: float | None = None
) -> list[Row]:
    """Compare agents that learned the same task, each over all of its seeds.

    Figures are interquartile means over seeds, with 95 % bootstrap intervals, and the
    probability that a run is better than one of the first directory (Agarwal et al. 2021,
    "Deep reinforcement learning at the edge of the statistical precipice").

    **Arguments:**

    - `runs`: directories of `lagdyna train`, with or without `--seeds`.
    - `out`: a new or empty directory for `compare.json`, `learning_curves.png` and
        `report.html`; nothing is written by default.
    - `target`: the return that the steps to it are counted for; by default the task's.

    **Returns:** a row for each run: `run`; `agent`, `model`, `learner`; `seeds`, how many;
    `env_steps`; `return`, `return_interval`; `reached`, how many seeds reached the target;
    `steps_to_target`, of those, `steps_to_target_interval`; `better_return` and
    `fewer_steps`, the probabilities of improvement over the first row with their intervals,
    where pairs whose runs ended too early to tell count half; `notes`, what differs from the
    first row besides the parts (task, length, seeds), and whether seeds are too few for
    probabilities. Missing values are `None`.

    **Raises:** `UserError` if there are no runs, one is not finished or damaged, or their
    environments differ.
    """
    if not runs:
        raise UserError("`runs` was empty; at least one directory of a run is accepted")
    agents = [_read(Path(run)) for run in runs]
    task = agents[0].task
    for each in agents[1:]:
        if each.task.env_id != task.env_id:
            raise UserError(
                f"`runs` has {agents[0].name!r}, which learned {task.env_id}, and "
                f"{each.name!r}, which learned {each.task.env_id}; runs of one task "
                "are accepted"
            )
    goal = task.target_return if target is None else target
    rows = [_row(each, agents[0], goal) for each in agents]
    if out is not None:
        out = new_directory(Path(out))
        drawn = {
            f"{_about(row)} ({row['run']})": each.evaluations
            for row, each in zip(rows, agents, strict=True)
        }
        figure = comparison(drawn, title=task.env_id, target=goal)
        save(figure, out / "learning_curves.png")
        write_json(out / "compare.json", rows)
        rows[0]["notes"] += try_report(out)
    return rows


def _read(run: Path) -> Agents:
    kind = kind_of(run)
    if kind == "fit":
        raise UserError(
            f"`runs` has {str(run)!r}, which holds a fit, beside runs of `lagdyna train`; "
            "either kind by itself is accepted"
        )
    if kind not in ("train", "seeds"):
        raise UserError(
            f"`runs` has {str(run)!r}, which holds no run of `lagdyna train`; a directory that "
            "it wrote is accepted"
        )
    directories = directories_of(run) if kind == "seeds" else [run]
    whole = finished_summary(run, directories if kind == "seeds" else None)
    # Of the config the task alone, so that no code of the user's parts is run.
    tables = [read_table(directory / "config.toml") for directory in directories]
    task = config_from_table({"task": tables[0].get("task")}).task
    summaries = [finished_summary(directory) for directory in directories]
    if whole is None or any(summary is None for summary in summaries):
        raise UserError(
            f"`runs` has {str(run)!r}, which is not finished (no `summary.json`); "
            f"`lagdyna resume {run}` finishes it, and then it is accepted"
        )
    done = {
        "task": (summaries[0] or {}).get("task"),
        "target_return": (summaries[0] or {}).get("target_return"),
    }
    if done != {"task": task.env_id, "target_return": task.target_return}:
        raise UserError(
            f"`runs` has {str(run)!r}, whose `config.toml` was changed after the run: its task "
            "is another one than in `summary.json`; restore it"
        )
    try:
        evaluations = [evaluations_of(_records(directory)) for directory in directories]
        ends = np.asarray([summary["return_mean"] for summary in summaries if summary], float)
        parts = {name: (summaries[0] or {})[name] for name in ("agent", "model", "learner")}
        if len(ends) < len(directories) or not all(steps.size for steps, _ in evaluations):
            raise ValueError("an empty summary, or no evaluations")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"`runs` has {str(run)!r}, whose `metrics.jsonl` or `summary.json` is missing, cut "
            f"off or damaged ({type(error).__name__}: {error})"
        ) from error
    return Agents(str(run), task, ends, evaluations, parts, tables)


def _records(run: Path) -> list[dict[str, Any]]:
    return read_metrics(run / "metrics.jsonl", TrainRecord)


def _row(agents: Agents, first: Agents, target: float | None) -> Row:
    steps = None if target is None else agents.steps_to(target)
    reached = np.empty(0) if steps is None else steps[np.isfinite(steps)]
    better = fewer = None
    if agents is not first:
        better = improvement(agents.ends, first.ends)
        if steps is not None and target is not None:
            fewer = sooner(
                steps, first.steps_to(target), (float(agents.last), float(first.last))
            )
    return {
        "run": agents.name,
        **agents.parts,
        "seeds": len(agents.ends),
        "env_steps": agents.last,
        "return": interquartile_mean(agents.ends),
        "return_interval": _listed(interval(agents.ends)),
        "target_return": target,
        "reached": None if steps is None else int(reached.size),
        "steps_to_target": interquartile_mean(reached) if reached.size else None,
        "steps_to_target_interval": _listed(interval(reached)),
        "better_return": _named(better),
        "fewer_steps": _named(fewer),
        "notes": [] if agents is first else _cautions(agents, first),
    }


def _cautions(agents: Agents, first: Agents) -> list[str]:
    return training_cautions(
        run_label(first.name),
        (agents.seeds, first.seeds),
        (agents.last, first.last),
        (agents.configs[0], first.configs[0]),
    )


def _listed(ends: tuple[float, float] | None) -> list[float] | None:
    return None if ends is None else [*ends]


def _named(found: Improvement | None) -> dict[str, float | None] | None:
    return None if found is None else found._asdict()


def _about(row: Row) -> str:
    return ", ".join(row[name] for name in ("agent", "model", "learner") if row[name])
