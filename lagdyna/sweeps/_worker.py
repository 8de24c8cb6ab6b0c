"""Worker of a sweep: it takes trials from the study until none is left."""

import time
from collections.abc import Callable

from numpy.linalg import LinAlgError

from .._errors import UserError
from ..results import CannotWrite, InUse
from ._assignment import Assignment, RunTrial
from ._checks import check_trial_directory
from ._study import Claim, Pruned, Study
from ._trials import Trial, Trials

Progress = Callable[[Trial, str], None]
"""Receives a trial and a few words: `begins`, `continues`, `round 2: ...`, `done`, a note."""


def work(
    study: Study, run_trial: RunTrial | None = None, progress: Progress | None = None
) -> Trials:
    """Run trials until all are finished, or in the hands of other processes.

    **Arguments:**

    - `study`: of the sweep.
    - `run_trial`: runs one trial; by default it trains, or fits.
    - `progress`: callback that receives a trial and a few words.

    **Returns:** all trials.

    **Raises:** `UserError` if a trial cannot be run and none has finished yet, its directory is
    in use, or the disk is full. Otherwise a trial that cannot be run is marked as failed.
    So is one whose code raises another exception, which goes on if no trial has finished yet.
    """
    if run_trial is None:
        from ._run_trial import run_fits, run_training

        run_trial = run_training if study.config.train is not None else run_fits
    say = progress or _silent
    while True:
        with study.claimed() as claim:
            if claim is None:
                return study.trials()
            _run(study, claim, run_trial, say)


def _run(study: Study, claim: Claim, run_trial: RunTrial, say: Progress) -> None:
    check_trial_directory(claim.directory, claim.begun)
    study.write_list()

    def trial() -> Trial:
        return study.trials().trials[claim.number]

    def report(rounds: int, value: float) -> None:
        say(trial(), f"round {rounds}: {value:.4g}")
        claim.report(rounds, value)

    def note(text: str) -> None:
        say(trial(), text)

    say(trial(), "continues" if claim.begun else "begins")
    begun = time.perf_counter()
    try:
        config = study.config.run_config(claim.options)
        assignment = Assignment(
            config,
            study.config.seeds,
            claim.directory,
            report,
            note,
            study.config.error,
            study.trust,
        )
        outcome = run_trial(assignment)
        claim.finish(*outcome)
    except Pruned:
        claim.prune(time.perf_counter() - begun)
    except (InUse, CannotWrite):
        raise  # of this machine, not of the options: the trial can be continued
    except UserError as error:
        claim.fail(str(error))
        if not study.trials().best:  # all others may fail in the same way
            study.write_list()
            raise UserError(f"trial {claim.number} failed: {error}") from error
    except (RuntimeError, ArithmeticError, MemoryError, LinAlgError) as error:  # as of JAX
        claim.fail(_reason(error))
    except Exception as error:  # of code of the user, or ours
        claim.fail(_reason(error))
        if not study.trials().best:
            study.write_list()
            raise
    study.write_list()
    say(trial(), "done")


def _reason(error: Exception) -> str:
    """Name an exception in one line."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _silent(trial: Trial, text: str) -> None:
    pass
