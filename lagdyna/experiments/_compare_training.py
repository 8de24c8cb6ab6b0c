"""Several agents beside each other, each with its seeds."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ._compare import Row
from ._config import Config
from ._curves import Curve, curves, evaluations_of, steps_to
from ._errors import UserError
from ._files import new_directory, write_json
from ._fitting import is_fit
from ._plots import plot_comparison
from ._run import config_of, finished_summary
from ._several import directories_of, is_several
from ._statistics import Improvement, improvement, interquartile_mean, interval, sooner


class Agents(NamedTuple):
    """The runs of one agent.

    **Attributes:** `name`, of the directory; `config`; `ends`, the last return of each seed;
    `evaluations`, the steps and returns of each seed's; `parts`, what summaries say of model
    and learner.
    """

    name: str
    config: Config
    ends: Float[np.ndarray, " seeds"]
    evaluations: list[Curve]
    parts: dict[str, Any]

    def steps_to(self, target: float) -> Float[np.ndarray, " seeds"]:
        """The steps of each seed's first evaluation at the target or above, `nan` if none."""
        return np.asarray([steps_to(*curve, target) for curve in self.evaluations])

    @property
    def last(self) -> int:
        """The steps of the last evaluation."""
        return max(int(steps[-1]) for steps, _ in self.evaluations)


def is_training(run: str | Path) -> bool:
    """Whether a directory holds a run of `lagdyna train`, of one seed or of several."""
    run = Path(run)
    begun = (run / "config.toml").exists() and (run / "checkpoint").exists()
    return is_several(run) or (begun and not is_fit(run))


def compare_training(
    runs: list[str | Path], out: str | Path | None = None, target: float | None = None
) -> list[Row]:
    """Lays agents side by side that learned the same task, each by all of its seeds.

    Figures are interquartile means over seeds, with 95 % bootstrap intervals, and the
    probability that a run is better than one of the first directory (Agarwal et al. 2021,
    "Deep reinforcement learning at the edge of the statistical precipice").

    **Arguments:**

    - `runs`: directories of `lagdyna train`, with or without `--seeds`.
    - `out`: a new or empty directory for `compare.json` and `learning_curves.png`; nothing is
        written by default.
    - `target`: the return of which the first evaluation at or above it counts; by default the
        task's.

    **Returns:** a row for each run: `run`; `agent`, `model`, `learner`; `seeds`, how many;
    `env_steps`; `return`, `return_interval`; `reached`, how many seeds came to the target;
    `steps_to_target`, of those, `steps_to_target_interval`; `better_return` and
    `fewer_steps`, the probabilities of improvement over the first row with their intervals,
    where pairs that ended before it could be said count half. What does not exist is `None`.

    **Raises:** `UserError` if there are no runs, one is not finished or damaged, or their
    environments differ.
    """
    if not runs:
        raise UserError("`runs` was empty; at least one directory of a run is accepted")
    agents = [_read(Path(run)) for run in runs]
    task = agents[0].config.task
    for each in agents[1:]:
        if each.config.task.env_id != task.env_id:
            raise UserError(
                f"`runs` has {agents[0].name!r}, which learned {task.env_id}, and "
                f"{each.name!r}, which learned {each.config.task.env_id}; runs of one task "
                "are accepted"
            )
    goal = task.target_return if target is None else target
    rows = [_row(each, agents[0], goal) for each in agents]
    if out is not None:
        out = new_directory(Path(out))
        drawn = [
            (f"{_about(row)} ({row['run']})", *curves(each.evaluations))
            for row, each in zip(rows, agents, strict=True)
        ]
        plot_comparison(out / "learning_curves.png", drawn, task.env_id, goal)
        write_json(out / "compare.json", rows)
    return rows


def _read(run: Path) -> Agents:
    if is_fit(run):
        raise UserError(
            f"`runs` has {str(run)!r}, which holds a fit, beside runs of `lagdyna train`; "
            "either kind by itself is accepted"
        )
    directories = directories_of(run) if is_several(run) else [run]
    config, *_ = [config_of(directory) for directory in directories]
    summaries = [finished_summary(directory) for directory in directories]
    if any(summary is None for summary in summaries):
        raise UserError(
            f"`runs` has {str(run)!r}, which has not come to its end; once `lagdyna resume` "
            "has finished it, it is accepted"
        )
    try:
        evaluations = [evaluations_of(_records(directory)) for directory in directories]
        ends = np.asarray([summary["return_mean"] for summary in summaries if summary], float)
        parts = {name: (summaries[0] or {})[name] for name in ("model", "learner")}
        if len(ends) < len(directories) or not all(steps.size for steps, _ in evaluations):
            raise ValueError("an empty summary, or no evaluations")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"`runs` has {str(run)!r}, whose `metrics.jsonl` or `summary.json` is missing, cut "
            f"off or damaged ({type(error).__name__}: {error})"
        ) from error
    return Agents(str(run), config, ends, evaluations, parts)


def _records(run: Path) -> list[dict[str, Any]]:
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


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
        "agent": agents.config.agent.name,
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
    }


def _listed(ends: tuple[float, float] | None) -> list[float] | None:
    return None if ends is None else [*ends]


def _named(found: Improvement | None) -> dict[str, float | None] | None:
    return None if found is None else found._asdict()


def _about(row: Row) -> str:
    return ", ".join(row[name] for name in ("agent", "model", "learner") if row[name])
