from pathlib import Path
from typing import TYPE_CHECKING

from .._errors import UserError
from ._interruption import interruptible
from ._options import Again, Log, SettingsAgain, Trusted, Whole, names_of, trusted
from ._precision import use_precision
from ._print import console, print_entries, print_report, print_seeds, print_summary
from ._sweep import resume_sweep

if TYPE_CHECKING:
    from ..progress import AbstractProgress
    from ..runs import Trust


def resume(
    run: Path,
    /,
    *,
    steps: Whole = None,
    updates: Whole = None,
    log: Log = None,
    trust: Trusted = False,
    model: Again = None,
    known: Again = None,
    loss: Again = None,
    learner: Again = None,
    agent: Again = None,
    set: SettingsAgain = None,
) -> None:
    """Resume an interrupted `train`, `fit`, `reproduce` or `sweep`.

    The result is that of an uninterrupted run. Several processes may resume one sweep at once.

    Parameters
    ----------
    run
        The directory of the run.
    steps
        Environment steps of a training run in total, to give it more; also after its end.
    updates
        Updates of a fit in total, to give it more; also after its end.
    """
    use_precision(run)
    from ..results import kind_of

    kind = kind_of(run)
    if kind is None:
        raise UserError(
            f"`run` was {str(run)!r}, which holds no run; a directory that `lagdyna train`, "
            "`lagdyna fit`, `lagdyna reproduce` or `lagdyna sweep` wrote is accepted"
        )
    if steps is not None and kind not in ("train", "seeds"):
        raise UserError(
            f"`steps` was given, and {str(run)!r} holds no training run; leave it out"
        )
    if updates is not None and kind != "fit":
        raise UserError(f"`updates` was given, and {str(run)!r} holds no fit; leave it out")
    again = {"model": model, "known": known, "loss": loss, "learner": learner, "agent": agent}
    trusts = trusted(trust, again, set)
    if log is not None and kind in ("reproduction", "sweep"):
        raise UserError(f"`log` was given, and {str(run)!r} holds a {kind}; leave it out")
    if kind == "train":
        _resume_training(run, steps, trusts, names_of(log))
    elif kind == "seeds":
        _resume_seeds(run, steps, trusts, names_of(log))
    elif kind == "fit":
        _resume_fit(run, updates, trusts, names_of(log))
    elif kind == "sweep":
        resume_sweep(run, trusts)
    else:
        _resume_reproduction(run)


def _resume_training(run: Path, steps: int | None, trust: "Trust", log: list[str]) -> None:
    from ..runs import resume_run

    progress = _progress(log)
    summary = interruptible(
        lambda: resume_run(run, steps=steps, progress=progress, trust=trust), run
    )
    print_summary(summary, run)


def _resume_seeds(run: Path, steps: int | None, trust: "Trust", log: list[str]) -> None:
    from ..runs import resume_seeds

    progress = _progress(log)
    summary = interruptible(
        lambda: resume_seeds(run, steps=steps, progress=progress, trust=trust), run
    )
    print_seeds(summary, run)


def _resume_fit(run: Path, updates: int | None, trust: "Trust", log: list[str]) -> None:
    from ..runs import resume_fit

    progress = _progress(log)
    report = interruptible(
        lambda: resume_fit(run, updates=updates, progress=progress, trust=trust), run
    )
    print_report(report, run)


def _progress(log: list[str]) -> "AbstractProgress":
    from ..logs import LoggedProgress, sinks_of
    from ..progress import progress_of

    return LoggedProgress(sinks_of(log), progress_of("bar", console))


def _resume_reproduction(run: Path) -> None:
    # The configs of a reproduction are its own, and name no code.
    from ..reproductions import REPRODUCTIONS, resume_reproduction
    from ._display import parts_progress

    with parts_progress(console) as progress:
        entries = interruptible(lambda: resume_reproduction(REPRODUCTIONS, run, progress), run)
    print_entries(entries, run)
