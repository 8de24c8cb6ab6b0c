from pathlib import Path

from .._errors import UserError
from ._interruption import interruptible
from ._options import Whole
from ._precision import use_precision
from ._print import console, print_entries, print_report, print_seeds, print_summary


def resume(run: Path, /, *, steps: Whole = None) -> None:
    """Resume an interrupted `train`, `fit` or `reproduce`.

    The result is that of an uninterrupted run.

    Parameters
    ----------
    run
        The directory of the run.
    steps
        Environment steps of a training run in total, to give it more; also after its end.
    """
    use_precision(run)
    from ..results import kind_of

    kind = kind_of(run)
    if kind is None:
        raise UserError(
            f"`run` was {str(run)!r}, which holds no run; a directory that `lagdyna train`, "
            "`lagdyna fit` or `lagdyna reproduce` wrote is accepted"
        )
    if kind == "train":
        _resume_training(run, steps)
    elif kind == "seeds":
        _resume_seeds(run, steps)
    elif steps is not None:
        raise UserError(
            f"`steps` was given, and {str(run)!r} holds no training run; leave it out"
        )
    elif kind == "fit":
        _resume_fit(run)
    else:
        _resume_reproduction(run)


def _resume_training(run: Path, steps: int | None) -> None:
    from ..runs import resume_run
    from ._display import display

    progress = display(console)
    summary = interruptible(lambda: resume_run(run, steps=steps, progress=progress), run)
    print_summary(summary, run)


def _resume_seeds(run: Path, steps: int | None) -> None:
    from ..runs import resume_seeds
    from ._display import display

    progress = display(console)
    summary = interruptible(lambda: resume_seeds(run, steps=steps, progress=progress), run)
    print_seeds(summary, run)


def _resume_fit(run: Path) -> None:
    from ..runs import resume_fit
    from ._display import fit_progress

    with fit_progress(console, None) as progress:
        report = interruptible(lambda: resume_fit(run, progress=progress), run)
    print_report(report, run)


def _resume_reproduction(run: Path) -> None:
    from ..reproductions import REPRODUCTIONS, resume_reproduction
    from ._display import parts_progress

    with parts_progress(console) as progress:
        entries = interruptible(lambda: resume_reproduction(REPRODUCTIONS, run, progress), run)
    print_entries(entries, run)
