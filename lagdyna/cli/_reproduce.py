import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.table import Column, Table

from .._errors import UserError
from ._interruption import interruptible
from ._options import Flag, Location, Name, Whole
from ._print import console, print_entries
from ._sweep import Launcher, say_jobs


def reproduce(
    name: Name = None,
    /,
    *,
    seeds: Whole = None,
    quick: Flag = False,
    tasks: Name = None,
    out: Location = None,
    launcher: Launcher = None,
    slurm: Annotated[list[str] | None, Parameter(show_default=False, negative="")] = None,
) -> None:
    """Reproduce an experiment of a paper, and compare its figures with ours.

    Parameters
    ----------
    name
        Name of the experiment; without it, all are listed.
    seeds
        Number of seeds; by default that of the experiment, which the list shows.
    quick
        Do a fraction of the work, which shows the tendency only.
    tasks
        Tasks to run, as pendulum,acrobot, of an experiment with several; all by default.
    out
        A directory for report.html, results.json and the pictures: new, empty, or one of the
        same experiment, to continue it; the first free one in runs/ by default.
    slurm
        With `--launcher slurm`: an option of the job, as partition=gpu, gpus=1 or time=600, in
        minutes; may be given several times. They are those of `[slurm]` of a sweep.
    """
    from ..reproductions import REPRODUCTIONS, reserve_reproduction
    from ..reproductions import reproduce as run_reproduction
    from ._display import parts_progress

    if name is None:
        _list()
        return
    if name not in REPRODUCTIONS:
        raise UserError(f"`name` was {name!r}; accepted: {', '.join(REPRODUCTIONS)}")
    if seeds is not None and seeds < 1:
        raise UserError(f"`seeds` was {seeds}: expected `int` >= 1")
    chosen = None if tasks is None else tasks.split(",")
    reproduction = REPRODUCTIONS[name]
    if slurm is not None and launcher != "slurm":
        raise UserError("`--slurm` was given without `--launcher slurm`; add it")
    if launcher is not None:
        from ..sweeps import launch, slurm_config, without_options

        reproduction.kinds_of(quick, chosen)
        same = without_options(sys.argv[1:], ("--launcher", "--slurm"))
        command = [sys.executable, "-m", "lagdyna", *same]
        options = slurm_config(slurm or ())
        jobs = launch(command, launcher, Path("runs/jobs"), name=name, slurm=options)
        say_jobs(jobs, "it is the same command without `--launcher`")
        return
    with reserve_reproduction(name, out) as directory:
        with parts_progress(console) as progress:
            entries = interruptible(
                lambda: run_reproduction(
                    reproduction,
                    directory,
                    seeds=seeds,
                    quick=quick,
                    tasks=chosen,
                    progress=progress,
                ),
                directory,
            )
        print_entries(entries, directory)


def _list() -> None:
    from ..reproductions import REPRODUCTIONS

    table = Table(
        Column("reproduction", no_wrap=True),
        "experiment",
        Column("seeds", justify="right"),
        Column("quick", justify="right"),
        box=None,
    )
    for each in REPRODUCTIONS.values():
        numbers = (str(each.seeds), str(each.quick_seeds or each.seeds))
        table.add_row(each.name, each.title, *numbers)
    console.print(table)
