from rich.table import Column, Table

from .._errors import UserError
from ._interruption import interruptible
from ._options import Flag, Location, Name, Whole
from ._print import console, print_entries


def reproduce(
    name: Name = None,
    /,
    *,
    seeds: Whole = None,
    quick: Flag = False,
    tasks: Name = None,
    out: Location = None,
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
