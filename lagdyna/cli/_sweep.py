import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.table import Column, Table

from .._errors import UserError
from ._interruption import signals
from ._options import Location, Settings, Whole, configured
from ._print import add_row, cell, console, say, with_interval

if TYPE_CHECKING:
    from ..runs import Trust
    from ..sweeps import Jobs, Study, Trial, Trials

_BEST = 5  # trials in the table at the end
_PAUSE = 1.0  # seconds between two looks at the trials of other processes
Launcher = Annotated[
    Literal["local", "slurm"] | None,
    Parameter(
        show_default=False,
        help="Where to run it, by submitit: local, in processes of this machine, or slurm. In "
        "this process by default.",
    ),
]


def sweep(
    file: Path,
    /,
    *,
    out: Location = None,
    workers: Whole = None,
    launcher: Launcher = None,
    set: Settings = None,
) -> None:
    """Search options of runs: a grid, or samplers of Optuna, over several seeds.

    The same command with the same `--out` continues a sweep, and so does `lagdyna resume`, in
    as many processes at once as you start, on any machine that shares the directory.

    Parameters
    ----------
    file
        A TOML file with the sweep: the config of runs, `[train]` or `[fit]`, the options to
        search, `[space]`, and how many `trials` and `seeds`.
    out
        A new or empty directory for the trials, or one of the same sweep; the first free
        runs/sweep-N by default.
    workers
        With `--launcher`: processes that run trials; 1 by default.
    """
    from ..sweeps import (
        begin_sweep,
        check_launcher,
        read_sweep,
        reserve_sweep,
        sweep_config,
        work,
    )

    if launcher is None and workers is not None:
        raise UserError(
            f"`--workers` was {workers} without `--launcher`; add `--launcher local` or "
            "`--launcher slurm`"
        )
    count = 1 if workers is None else workers
    if launcher is not None:
        check_launcher(launcher, count)
    config = configured(sweep_config, file, {}, set, read_sweep)
    with reserve_sweep(out) as directory:
        study = begin_sweep(config, directory)
        if launcher is not None:
            launched(study, launcher, count)
            return
        _say_heading(study)
        stoppable(lambda: print_trials(work(study, progress=say_progress), study), directory)


def resume_sweep(directory: Path, trust: "Trust") -> None:
    """Run trials of a sweep that has begun, in this process."""
    from ..sweeps import open_sweep
    from ..sweeps import resume_sweep as resume

    study = open_sweep(directory, trust)
    _say_heading(study)
    stoppable(
        lambda: print_trials(resume(directory, trust=trust, progress=say_progress), study),
        directory,
    )


def launched(study: "Study", launcher: Literal["local", "slurm"], workers: int) -> None:
    """Submit workers of a sweep; of local ones print the trials until they end.

    No job is submitted for a sweep whose trials have all ended.
    """
    from ..sweeps import launch, read_trials

    directory, config = study.directory, study.config
    found = read_trials(directory)
    if not found.unfinished:
        print_trials(found, study)
        return
    # Workers read the config in the directory, since that file may have changed by then.
    command = [sys.executable, "-m", "lagdyna", "resume", str(directory.resolve())]
    command += ["--trust"] if study.trust else []
    jobs = launch(
        command,
        launcher,
        directory / "jobs",
        count=workers,
        name="lagdyna-sweep",
        slurm=config.slurm,
        local=config.local,
    )
    say_jobs(jobs, f"`lagdyna compare {shlex.quote(str(directory))}` lists the trials")
    if launcher == "local":
        _follow(study, jobs)


def say_jobs(jobs: "Jobs", then: str) -> None:
    """Print the ids of jobs, where their logs are, and what to do next."""
    many = len(jobs.ids) > 1
    say(
        f"{len(jobs.ids)} {'jobs were' if many else 'job was'} submitted: "
        f"{', '.join(jobs.ids)}; what {'they print' if many else 'it prints'} is in "
        f"{jobs.log(0).parent}; {then}"
    )


def _follow(study: "Study", jobs: "Jobs") -> None:
    from ..sweeps import read_trials

    found = read_trials(study.directory)
    known = {each.number for each in found.trials if _ended(each)}
    try:
        running = True
        while running:
            time.sleep(_PAUSE)
            running = jobs.running > 0
            found = read_trials(study.directory)
            for each in found.trials:
                if _ended(each) and each.number not in known:
                    known.add(each.number)
                    say_progress(each, "done")
    except KeyboardInterrupt:
        signals.notice()
        jobs.stop()
        say(_kept(study.directory))
        raise
    print_trials(found, study)
    if found.unfinished:
        say(f"the workers have ended before: {_kept(study.directory)}; see {jobs.folder}")
        sys.exit(1)


def _ended(trial: "Trial") -> bool:
    return trial.state not in ("waiting", "running")


def stoppable(program: Callable[[], None], directory: Path) -> None:
    """Run trials; after an interruption say what is kept, and how to continue.

    Unlike those of other runs, the locks in the directory may be of other processes.
    """
    try:
        program()
    except KeyboardInterrupt:
        signals.notice()
        say(f"interrupted; {_kept(directory)}")
        raise


def _kept(directory: Path) -> str:
    from ..sweeps import read_trials

    found = read_trials(directory)
    done = len(found.trials) - len(found.unfinished)
    return (
        f"{done} of {len(found.trials)} trials have ended, and unfinished ones are kept up to "
        f"their last training phase; `lagdyna resume {shlex.quote(str(directory))}` continues"
    )


def _say_heading(study: "Study") -> None:
    config = study.config
    say(
        f"sweep of {config.trials} trials x {config.seeds} seeds, sampler {config.sampler}, "
        f"over {', '.join(config.space)} -> {study.directory}"
    )


def say_progress(trial: "Trial", text: str) -> None:
    """Print a line on a trial when it begins, after each round, and at its end."""
    what = text
    if text == "done":
        took = "" if trial.seconds is None else f", {trial.seconds:.0f} s"
        what = f"{_result(trial)}{took}"
    say(f"trial {trial.number} ({options_text(trial)}): {what}")


def _result(trial: "Trial") -> str:
    if trial.state == "failed":
        return f"failed: {trial.reason}"
    if trial.state == "pruned":
        return f"pruned after round {trial.rounds} at {cell(trial.objective)}"
    return with_interval(trial.objective, trial.interval)


def options_text(trial: "Trial") -> str:
    """Write the options of a trial as `agent.horizon 8, model lnn`."""
    return ", ".join(f"{name} {_value(each)}" for name, each in trial.options.items()) or "-"


def _value(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key} {_value(each)}" for key, each in value.items())
    return cell(value) if isinstance(value, float) else str(value)


def print_trials(trials: "Trials", study: "Study") -> None:
    """Print the best trials, and what to do with them."""
    table_of_trials(trials, trials.best[:_BEST])
    best = trials.best
    if not best:
        say("no trial has finished")
        return
    directory = study.directory
    quoted = shlex.quote(str(directory))
    seed = (study.config.train or study.config.fit or {}).get("seed", 0)
    config = shlex.quote(str(directory / best[0].directory / f"seed-{seed}" / "config.toml"))
    say(
        f"`lagdyna compare {quoted}` lists all trials; `lagdyna compare {quoted} --best 3` "
        f"compares runs; `lagdyna {trials.task} --config {config}` takes the best options"
    )


def short_names(names: Sequence[str]) -> list[str]:
    """Shorten dotted names to their ends, as far as these differ: `horizon`, `model.hidden`."""
    parts = [name.removesuffix(".name").split(".") for name in names]
    for count in range(1, max(map(len, parts), default=0) + 1):
        ends = [".".join(each[-count:]) for each in parts]
        if len({*ends}) == len(ends):
            return ends
    return [*names]


def table_of_trials(trials: "Trials", chosen: "list[Trial]") -> None:
    """Print a table of trials: options, seeds, interquartile mean with interval, state."""
    names = list(dict.fromkeys(name for each in trials.trials for name in each.options))
    table = Table(
        Column("trial", justify="right", no_wrap=True),
        *(Column(name, no_wrap=True) for name in short_names(names)),
        Column(trials.objective, no_wrap=True),
        Column("seconds", justify="right"),
        Column("state", overflow="fold", min_width=8),
        box=None,
    )
    for each in chosen:
        state = each.state
        if state == "pruned":
            state = f"pruned after round {each.rounds}"
        add_row(
            table,
            str(each.number),
            *(_value(each.options[name]) if name in each.options else "-" for name in names),
            with_interval(each.objective, each.interval),
            cell(None if each.seconds is None else round(each.seconds)),
            state if each.reason is None else f"failed: {each.reason}",
        )
    if chosen:
        console.print(table)
        count = trials.seeds
        means = f"interquartile means over {count} seeds, 95 % bootstrap intervals"
        say(means if count > 1 else "one seed a trial")
