"""Several agents beside each other, each with its seeds."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Integer

from ._compare import Row
from ._config import Config
from ._errors import UserError
from ._files import new_directory, read_first_lines, write_json
from ._fitting import is_fit
from ._plots import plot_comparison
from ._run import config_of, finished_summary
from ._several import curves, directories_of, is_several
from ._statistics import improvement, interquartile_mean, interval


class Agents(NamedTuple):
    """The runs of one agent.

    **Attributes:** `name`, of the directory; `config`; `steps` and `returns`, of each seed's
    evaluations; `summaries`, each seed's.
    """

    name: str
    config: Config
    steps: Integer[np.ndarray, " times"]
    returns: Float[np.ndarray, "seeds times"]
    summaries: list[dict[str, Any]]


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
    where a seed that never came to the target takes longer than any that did. What does not
    exist is `None`.

    **Raises:** `UserError` if there are no runs, one is not finished, or their tasks differ.
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
        named = {
            f"{_about(row)} ({Path(each.name).name})": (each.steps, each.returns)
            for row, each in zip(rows, agents, strict=True)
        }
        plot_comparison(out / "learning_curves.png", named, task.env_id, goal)
        write_json(out / "compare.json", rows)
    return rows


def _read(run: Path) -> Agents:
    directories = directories_of(run) if is_several(run) else [run]
    configs = [config_of(directory) for directory in directories]
    summaries = [finished_summary(directory) for directory in directories]
    if any(summary is None for summary in summaries):
        raise UserError(
            f"`runs` has {str(run)!r}, which has not come to its end; once `lagdyna resume` "
            "has finished it, it is accepted"
        )
    times, returns = curves([_records(directory) for directory in directories])
    kept = [summary for summary in summaries if summary is not None]
    return Agents(str(run), configs[0], times, returns, kept)


def _records(run: Path) -> list[dict[str, Any]]:
    text = (run / "metrics.jsonl").read_text(encoding="utf-8")
    return read_first_lines(run / "metrics.jsonl", text.count("\n"))


def _row(agents: Agents, first: Agents, target: float | None) -> Row:
    returns, steps = _ends(agents), _steps_to(agents, target)
    reached = steps[np.isfinite(steps)]
    better = None if agents is first else improvement(returns, _ends(first))
    fewer = None
    if agents is not first and target is not None:
        fewer = improvement(-steps, -_steps_to(first, target))
    summary = agents.summaries[0]
    return {
        "run": agents.name,
        "agent": agents.config.agent.name,
        "model": summary["model"],
        "learner": summary["learner"],
        "seeds": len(returns),
        "env_steps": int(agents.steps[-1]),
        "return": interquartile_mean(returns),
        "return_interval": _listed(interval(returns)),
        "target_return": target,
        "reached": None if target is None else int(reached.size),
        "steps_to_target": interquartile_mean(reached) if reached.size else None,
        "steps_to_target_interval": _listed(interval(reached)),
        "better_return": None if better is None else better._asdict(),
        "fewer_steps": None if fewer is None else fewer._asdict(),
    }


def _listed(ends: tuple[float, float] | None) -> list[float] | None:
    return None if ends is None else [*ends]


def _ends(agents: Agents) -> Float[np.ndarray, " seeds"]:
    return np.asarray([summary["return_mean"] for summary in agents.summaries], float)


def _steps_to(agents: Agents, target: float | None) -> Float[np.ndarray, " seeds"]:
    """Of each seed; infinite if it never came there."""
    if target is None:
        return np.full(len(agents.returns), np.inf)
    there = agents.returns >= target
    return np.where(there.any(axis=1), agents.steps[there.argmax(axis=1)], np.inf)


def _about(row: Row) -> str:
    return ", ".join(row[name] for name in ("agent", "model", "learner") if row[name])
