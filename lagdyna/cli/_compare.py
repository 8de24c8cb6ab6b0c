from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from msgspec import to_builtins

from .._errors import UserError
from ._options import Location, Whole
from ._print import (
    add_row,
    beside,
    cell,
    console,
    run_names,
    runs_table,
    say,
    with_interval,
    write_list,
)
from ._sweep import table_of_trials

_FIT_ROWS = {
    "model": "model",
    "learner": "learner",
    "loss": "loss",
    "weights": "weights",
    "seconds": "seconds",
    "one_step_qd": "one step, qd",
    "acceleration": "qdd",
    "torque": "force",
    "rollout_q": "rollout, q",
    "energy_drift": "energy drift",
}


def compare(
    runs: Annotated[list[Path], Parameter(negative="")],
    /,
    *,
    out: Location = None,
    target: Annotated[float | None, Parameter(show_default=False)] = None,
    best: Whole = None,
) -> None:
    """Compare runs in one table and one plot: fits, agents of one task, or trials of a sweep.

    Fits are compared by their errors on validation data. Agents are compared by interquartile
    means over their seeds with 95 % bootstrap intervals, and by the probability that a run is
    better than one of the first.

    Parameters
    ----------
    runs
        Directories of `lagdyna fit`, or of `lagdyna train`, with or without `--seeds`; or of
        `lagdyna sweep`.
    out
        A new or empty directory for report.html, compare.json and the figure.
    target
        For agents: the return to which steps are counted; that of the task by default.
    best
        Of a sweep: compare the runs of so many of its best trials; of fits, every seed is one.
        By default a table of all trials; beside other runs, those of its best trial.
    """
    from ..results import kind_of

    sweeps = [run for run in runs if kind_of(run) == "sweep"]
    if best is not None and not sweeps:
        raise UserError(
            f"`--best` was {best}, and none of the runs is a sweep; leave it out, or give the "
            "directory of one"
        )
    if len(runs) == 1 and sweeps and best is None:
        _list_trials(runs[0], out, target)
        return
    if sweeps:
        from ..sweeps import best_trials

        count = 1 if best is None else best
        some = [best_trials(run, count) if run in sweeps else [run] for run in runs]
        runs = [run for each in some for run in each]
    kinds = [kind_of(run) for run in runs]
    # A target is for agents, so a directory without a run is refused as one of theirs.
    if "train" in kinds or "seeds" in kinds or (target is not None and None in kinds):
        _compare_training(runs, out, target)
        return
    if target is not None:
        raise UserError(
            f"`--target` was {target:g} for fits, which have no return; runs of `lagdyna "
            "train` have one"
        )
    _compare_fits(runs, out)


def _list_trials(sweep: Path, out: Path | None, target: float | None) -> None:
    """Print a table of all trials of a sweep."""
    from ..sweeps import read_trials

    if target is not None:
        raise UserError(
            f"`--target` was {target:g} for the trials of a sweep; add `--best 3` to compare "
            "their runs"
        )
    found = read_trials(sweep)
    begun = [each for each in found.trials if each.state != "waiting"]
    table_of_trials(found, [*found.best, *(each for each in begun if each not in found.best)])
    waiting = len(found.trials) - len(begun)
    if waiting:
        say(f"{waiting} of {len(found.trials)} trials are waiting")
    write_list(out, "compare.json", [to_builtins(each) for each in found.trials])


def _compare_fits(runs: list[Path], out: Path | None) -> None:
    from ..runs import compare_fits

    rows = compare_fits([*runs], out)
    table = runs_table(rows)
    for key, heading in _FIT_ROWS.items():
        cells = (beside([row[key]], [row["relative"].get(key)]) for row in rows)
        add_row(table, heading, *cells)
    console.print(table)
    horizons = ", ".join(sorted({f"{row['rollout_seconds']:.3g} s" for row in rows}))
    say(
        "root mean square errors on validation data, in brackets as a part of its variation, "
        f"of one step as a part of the change in a step; rollouts of {horizons}"
    )
    _say_notes(rows)
    if out is not None:
        say(f"-> {out}: report.html, compare.json, ...")


def _compare_training(runs: list[Path], out: Path | None, target: float | None) -> None:
    from ..runs import compare_training

    rows = compare_training([*runs], out, target)
    table = runs_table(rows)
    for key in ("agent", "model", "learner", "seeds", "env_steps"):
        add_row(table, key.replace("env_", ""), *(cell(row[key]) for row in rows))
    for key, heading in (("return", "return"), ("steps_to_target", "steps to target")):
        cells = (with_interval(row[key], row[f"{key}_interval"]) for row in rows)
        add_row(table, heading, *cells)
    goal = rows[0]["target_return"]
    if goal is not None:
        add_row(table, "reached it", *(f"{row['reached']} of {row['seeds']}" for row in rows))
    for key, heading in (("better_return", "higher return"), ("fewer_steps", "fewer steps")):
        add_row(table, f"P({heading})", *(_probability(row[key]) for row in rows))
    console.print(table)
    say(
        "interquartile means over seeds, 95 % bootstrap intervals; P: probability that a run "
        f"is better than one of {run_names(rows)[0]}"
        + ("" if goal is None else f"; the target is a return of {goal:g}")
    )
    _say_notes(rows)
    if out is not None:
        say(f"-> {out}: report.html, compare.json, ...")


def _say_notes(rows: list[dict[str, Any]]) -> None:
    """Print what differs between the runs besides what is compared."""
    for name, row in zip(run_names(rows), rows, strict=True):
        for note in row["notes"]:
            say(f"note: {name}: {note}")


def _probability(found: dict[str, Any] | None) -> str:
    """Format a probability of improvement; the first run has none."""
    if found is None:
        return "-"
    low, high = found["low"], found["high"]
    ends = None if low is None or high is None else (low, high)
    return with_interval(found["probability"], ends)
