"""List of the trials of a sweep, the file `sweep.json`."""

from pathlib import Path
from typing import Any, Literal

import msgspec

from .._errors import UserError
from ..results import check_kind, read_sealed, write_sealed

LIST = "sweep.json"
State = Literal["waiting", "running", "finished", "pruned", "failed"]


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One trial of a sweep.

    **Attributes:**

    - `number`: from 0 on; its runs are in the directory `trial-NUMBER` of the sweep.
    - `state`: `running` also if its process was killed, until another one takes the trial.
    - `options`: that it was given, by their dotted names; empty before it begins.
    - `objective`: interquartile mean over seeds, of a pruned trial after its last round;
        `None` if there is none.
    - `interval`: ends of its 95 % bootstrap interval, of a finished trial of several seeds.
    - `values`: of a finished trial, one of each seed.
    - `rounds`: rounds of training that were reported.
    - `seconds`: time that its runs took.
    - `reason`: of a failed trial.
    """

    number: int
    state: State
    options: dict[str, Any] = {}
    objective: float | None = None
    interval: tuple[float, float] | None = None
    values: tuple[float, ...] = ()
    rounds: int = 0
    seconds: float | None = None
    reason: str | None = None

    @property
    def directory(self) -> str:
        """Name of the directory of its runs."""
        return f"trial-{self.number}"


class Trials(msgspec.Struct, frozen=True, kw_only=True):
    """Trials of a sweep, and what they are ordered by.

    **Attributes:** `task`, `train` or `fit`; `objective`, in words; `maximise`, whether more is
    better; `seeds`, of each trial; `trials`, all of them.
    """

    task: str
    objective: str
    maximise: bool
    seeds: int
    trials: tuple[Trial, ...]

    @property
    def best(self) -> list[Trial]:
        """Finished trials, the best first."""
        done = [each for each in self.trials if each.state == "finished"]
        sign = -1 if self.maximise else 1
        return sorted(done, key=lambda each: sign * (each.objective or 0.0))

    @property
    def unfinished(self) -> list[Trial]:
        """Trials that are running, waiting or were interrupted."""
        return [each for each in self.trials if each.state in ("waiting", "running")]


def write_trials(directory: Path, trials: Trials) -> None:
    """Write the list of the trials of a sweep, with a checksum."""
    write_sealed(directory / LIST, msgspec.to_builtins(trials))


def read_trials(sweep: str | Path) -> Trials:
    """Read the list of the trials of a sweep, also while it is running.

    **Raises:** `UserError` if the directory holds no sweep, or a damaged one.
    """
    check_kind(sweep, "sweep")
    path = Path(sweep) / LIST
    if not path.exists():
        raise UserError(
            f"{str(sweep)!r} has no {LIST}: the sweep was stopped before it began; `lagdyna "
            f"resume {sweep}` begins it"
        )
    return read_sealed(path, Trials)[0]


def best_trials(sweep: str | Path, count: int = 1) -> list[Path]:
    """List the runs of the best finished trials of a sweep, the best first.

    The seeds of a training run are one run; of a sweep over fits, each seed is a fit of its
    own.

    **Arguments:** `count`, at most how many trials.

    **Raises:** `UserError` as [`lagdyna.sweeps.read_trials`][]; or if `count` is not positive
    or no trial has finished.
    """
    if count < 1:
        raise UserError(f"`best` was {count}: expected `int` >= 1")
    trials = read_trials(sweep)
    found = trials.best[:count]
    if not found:
        raise UserError(
            f"{str(sweep)!r} has no finished trial yet; wait until one has finished"
        )
    directories = [Path(sweep) / each.directory for each in found]
    if trials.task == "fit":
        return [run for each in directories for run in sorted(each.glob("seed-*"), key=_seed)]
    return directories


def _seed(run: Path) -> int:
    """Seed of a fit, of the name of its directory."""
    return int(run.name.removeprefix("seed-"))
