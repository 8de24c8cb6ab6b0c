"""Checks of a sweep's directory, which may come from anybody, before anything is written."""

from pathlib import Path

from .._errors import UserError
from ..results import check_links, locked, make_directory
from ._trials import LIST, Trials, read_trials


def own_directory(path: Path) -> Path:
    """Create a directory inside of a sweep's, unless it exists.

    **Raises:** `UserError` if it is a link, which would be followed, or cannot be created.
    """
    for each in (path.parent, path):
        _check_no_link(each)
    return make_directory(path)


def check_journal(path: Path) -> None:
    """Refuse a journal that is a link or no regular file, or is gone although trials began.

    **Raises:** `UserError` that says so.
    """
    _check_no_link(path)
    if path.exists() and not path.is_file():
        raise UserError(f"{str(path)!r} is no regular file; move it away, or restore the file")
    if (path.parent / LIST).exists() and not (path.exists() and path.stat().st_size):
        raise UserError(
            f"{str(path)!r} is missing or empty, and {LIST} says that the sweep has begun; "
            "restore it, or begin the sweep in a new directory"
        )


def check_results(directory: Path, trials: Trials) -> None:
    """Refuse a study that lacks trials which have ended, as `sweep.json` lists them.

    **Arguments:** `directory`, of the sweep; `trials`, those of the study.

    **Raises:** `UserError` that names the first one.
    """
    try:
        listed = read_trials(directory)
    except UserError:  # missing or damaged; it is written anew from the study
        return
    ended = {each.number for each in trials.trials} - {x.number for x in trials.unfinished}
    left = {each.number for each in listed.trials} - {x.number for x in listed.unfinished}
    if left - ended:
        raise UserError(
            f"the study of {str(directory)!r} is damaged: it lacks the result of trial "
            f"{min(left - ended)}, which {LIST} has; restore it, or begin the sweep in a new "
            "directory"
        )


def check_trial_directory(directory: Path, begun: bool) -> None:
    """Refuse a directory that another process writes to, or that is not of this trial.

    **Arguments:** `directory`, of the trial's runs; `begun`, whether the trial had begun.

    **Raises:** `UserError` that says so; the trial stays as it was.
    """
    _check_no_link(directory)
    if not directory.exists():
        return
    if not begun:
        raise UserError(
            f"{str(directory)!r} exists, and the study has not begun that trial; move it away, "
            "or begin the sweep in a new directory"
        )
    if not directory.is_dir():
        raise UserError(
            f"{str(directory)!r} is a file, where the directory of a trial is; move it away"
        )
    check_links(directory)
    held = [path.parent for path in directory.rglob("run.lock")]
    with locked(*held):
        pass


def _check_no_link(path: Path) -> None:
    if path.is_symlink():
        raise UserError(
            f"{str(path)!r} is a link, which is not followed when a sweep is continued; put "
            "the file or directory itself there, or delete the link"
        )
