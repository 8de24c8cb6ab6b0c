from pathlib import Path

from ._print import say


def report(run: Path, /) -> None:
    """Write the report of a run again: one page with result, figures, config and versions.

    Every finished run has one, report.html. This makes it anew from the files of the
    directory, also for runs that were copied or that an earlier version wrote.

    Parameters
    ----------
    run
        The directory of a finished run of any kind, of a comparison or of a plan.
    """
    from ..reports import write_report

    say(f"-> {write_report(run)}")
