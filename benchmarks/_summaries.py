"""Figures of the tables: interquartile means over stored seeds, with bootstrap intervals."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from _ledger import Ledger, Stored
from _protocols import ABLATIONS, HERE, Protocol

from lagdyna.options import read_table
from lagdyna.reproductions.ramesh2023_suite import PAPER, published
from lagdyna.results import steps_to
from lagdyna.statistics import improvement, interquartile_mean, interval, sooner

PUBLISHED = HERE / "published.toml"
REACHED = 0.95  # fraction of the paper's return that counts as reached
Row = dict[str, Any]


class Figure(msgspec.Struct, rename={"value": "return"}, forbid_unknown_fields=True):
    """Published figure of another method.

    **Attributes:** (`None` if not published)

    - `task`, `method`: task of the protocols, and name of the method.
    - `source`: key of `sources` in the file.
    - `steps`: environment steps.
    - `seconds`: simulated time of the experience.
    - `value`: return after these steps.
    - `score`, `robustness`: scores of RealAIGym's leaderboard.
    """

    task: str
    method: str
    source: str
    steps: int | None = None
    seconds: float | None = None
    value: float | None = None
    score: float | None = None
    robustness: float | None = None


class Published(msgspec.Struct, forbid_unknown_fields=True):
    """Published figures of other methods, the content of `published.toml`.

    **Attributes:** `targets`, returns that count as solved, by task; `sources`, citations by
    name; `figures`, the figures.
    """

    targets: dict[str, float]
    sources: dict[str, str]
    figures: list[Figure]

    def of(self, task: str) -> list[Figure]:
        """List the figures of a task."""
        return [figure for figure in self.figures if figure.task == task]


def read_published(path: Path = PUBLISHED) -> Published:
    """Read the published figures."""
    return msgspec.convert(read_table(path), Published)


def machine_of(about: Mapping[str, Any]) -> str:
    """Name the processor of a measurement, and its number of cores."""
    words = str(about.get("processor", "unknown")).replace("(R)", "").replace("(TM)", "")
    cores = about.get("cores")
    return " ".join(words.split()) + (f", {cores} cores" if cores else "")


def target_of(protocol: Protocol, published_figures: Published) -> float | None:
    """Look up the target return of a protocol."""
    if protocol.group in ("suite", ABLATIONS) and protocol.task in PAPER:
        model = protocol.variant if protocol.group == "suite" else "delan"
        return REACHED * published(f"{protocol.task}.{model}").value
    return published_figures.targets.get(protocol.task)


def summary_of(protocol: Protocol, runs: list[Stored], target: float | None) -> Row:
    """Summarise the runs of a protocol; figures without a run are `None`."""
    config = protocol.config
    steps = config.steps or 0
    returns = np.asarray([run.final for run in runs])
    low_high = interval(returns) if len(runs) > 1 else None
    to_target = [math.inf if np.isnan(x) else x for x in _to(runs, target)]
    row: Row = {
        "seeds": len(runs),
        "of": max(len(protocol.seeds), len(runs)),
        "steps": steps,
        "decisions": math.ceil(steps / config.task.repeat),
        "experience_seconds": round(steps * config.task.dt, 3),
        "return": _mean(returns),
        "return_low": None if low_high is None else low_high[0],
        "return_high": None if low_high is None else low_high[1],
        "target": target,
        "reached": sum(math.isfinite(x) for x in to_target),
        "held": sum(_held(run, target) for run in runs),
        "seconds": _mean([run.seconds for run in runs if run.at_once == 1]),
    }
    name = "steps_to_95" if protocol.group == "suite" else "steps_to_target"
    row[name] = _mean(to_target)
    for figure in dict.fromkeys(name for run in runs for name in run.figures):
        values = [run.figures.get(figure) for run in runs]
        row[figure] = _fraction(values) if figure == "success" else _mean(values)
    if protocol.group == "suite":
        row.setdefault("one_step_l1", None)
    return row


def seed_row(run: Stored, target: float | None) -> Row:
    """Summarise one run."""
    (steps,) = _to([run], target)
    return {
        "seed": run.seed,
        "return": run.final,
        "to_target": None if np.isnan(steps) else steps,
        "held": _held(run, target),
        **run.figures,
        "seconds": run.seconds,
        "at_once": run.at_once,
        "commit": run.commit,
    }


def compare_models(task: str, delan: list[Stored], mlp: list[Stored]) -> Row:
    """Compare the DeLaN with the network on a task of the suite, with the same target."""
    row: Row = {"seeds": [len(delan), len(mlp)]}
    if not (delan and mlp):
        return row
    better = improvement(*(np.asarray([run.final for run in runs]) for runs in (delan, mlp)))
    target = REACHED * PAPER[task].delan.value
    a, b = (np.asarray(_to(runs, target)) for runs in (delan, mlp))
    fewer = sooner(a, b, (_end(delan), _end(mlp)))
    return {**row, "better_return": [*better], "fewer_steps": [*fewer]}


def aggregate(scores: list[np.ndarray]) -> tuple[float, float, float] | None:
    """Compute the interquartile mean over tasks and seeds, with its 95 % interval.

    The bootstrap is stratified: it draws the seeds of each task with replacement 2000 times
    (Agarwal et al. 2021).

    **Arguments:** `scores`, normalised scores, one array of seeds per task.

    **Returns:** the mean and both ends of the interval; `None` without tasks.
    """
    from scipy.stats import trim_mean

    if not scores:
        return None
    rng = np.random.default_rng(0)
    drawn = [each[rng.integers(len(each), size=(2000, len(each)))] for each in scores]
    means = trim_mean(np.concatenate(drawn, axis=1), 0.25, axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return interquartile_mean(np.concatenate(scores)), float(low), float(high)


def suite_scores(ledger: Ledger, protocols: list[Protocol], model: str) -> list[np.ndarray]:
    """Divide returns by that of the paper's LNN, for each task of the suite with a run."""
    found = []
    for protocol in protocols:
        runs = ledger.runs_of(protocol)
        if protocol.group == "suite" and protocol.variant == model and runs:
            best = PAPER[protocol.task].delan.value
            found.append(np.asarray([run.final / best for run in runs]))
    return found


def _to(runs: list[Stored], target: float | None) -> list[float]:
    return [math.nan if target is None else steps_to(*run.curve, target) for run in runs]


def _end(runs: list[Stored]) -> float:
    return max(float(run.curve[0][-1]) for run in runs)


def _held(run: Stored, target: float | None) -> bool:
    """Whether the return stays at the target once an evaluation has reached it."""
    if target is None:
        return False
    at = run.curve[1] >= target
    return bool(at.any() and at[np.argmax(at) :].all())


def _fraction(values: list[float | None]) -> float | None:
    """Compute the mean of fractions; an interquartile mean would hide single failures."""
    return None if None in values else float(np.mean(np.asarray(values, float)))


def _mean(values: Any) -> float | None:
    """Compute the interquartile mean; `None` if there is no value, or it is not finite."""
    values = np.asarray([math.nan if x is None else x for x in values], float)
    if not values.size or np.isnan(values).any():
        return None
    mean = interquartile_mean(values)
    return mean if math.isfinite(mean) else None
