"""Sweeps from their config, and sweeps that have begun."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from .._errors import UserError
from ..config import Config
from ..options import begun_in, config_to_toml, read_table, table_of, trusting
from ..results import (
    cannot_write,
    check_empty,
    check_kind,
    check_precision,
    kind_of,
    make_directory,
    origin_of,
    reserved,
    write_run_file,
    write_text,
)
from ..runs import Trust, check_trusted
from ._assignment import RunTrial
from ._config import SweepConfig, sweep_config
from ._extra import check_installed
from ._space import flattened, with_options
from ._study import CLAIMS, Study, locked_list
from ._trials import Trials
from ._worker import Progress, work

FILE = "sweep.toml"


def sweep(
    config: SweepConfig,
    out: str | Path | None = None,
    *,
    run_trial: RunTrial | None = None,
    progress: Progress | None = None,
) -> Trials:
    """Search options of runs: begin a sweep and run its trials in this process.

    Other processes may run trials of the same sweep at the same time, by the same call or by
    [`lagdyna.sweeps.resume_sweep`][].

    **Arguments:**

    - `config`: of the sweep, such as [`lagdyna.sweeps.load_sweep`][] reads.
    - `out`: a new or empty directory, or one of the same sweep; by default the first free
        `runs/sweep-NUMBER`.
    - `run_trial`, `progress`: as for [`lagdyna.sweeps.work`][].

    **Returns:** all trials.

    **Raises:** `UserError` as [`lagdyna.sweeps.begin_sweep`][] and [`lagdyna.sweeps.work`][].
    """
    with reserve_sweep(None if out is None else Path(out)) as directory:
        return work(begin_sweep(config, directory), run_trial, progress)


def begin_sweep(config: SweepConfig, out: str | Path) -> Study:
    """Create the directory of a sweep, or open that of the same one.

    **Arguments:** `config`, of the sweep, which may have more trials than before; `out`, the
    directory.

    **Returns:** the study, for [`lagdyna.sweeps.work`][].

    **Raises:** `UserError` if Optuna is not installed, the environment cannot be made, the
    directory holds anything else, or the sweep there was begun with another config. Nothing
    has been written then.
    """
    check_installed("optuna", "a sweep")
    directory, trust = Path(out), _names_code(config)
    if not _holds_sweep(directory):
        first = config.run_config(
            {name: each.examples[0] for name, each in config.dimensions.items()}
        )
        if isinstance(first, Config):
            from ..runs import probe

            probe(first)
        with locked_list(make_directory(directory)):
            if kind_of(directory) is None:
                write_run_file(directory, "sweep")
    check_precision(directory)
    begun = (directory / FILE).exists()
    stored = (_stored(directory).trials or 0) if begun else 0
    if (config.trials or 0) < stored:
        raise UserError(
            f"`trials` was {config.trials}, and {str(directory)!r} has {stored} already; at "
            "least as many are accepted"
        )
    study = Study(directory, config, trust)
    with locked_list(directory):
        write_text(directory / FILE, config_to_toml(config))
    study.add_trials()
    return study


def open_sweep(directory: str | Path, trust: Trust = False) -> Study:
    """Open a sweep that has begun, with the config in its directory.

    **Arguments:** `trust`, as for [`lagdyna.runs.load`][].

    **Raises:** `UserError` if the directory holds no sweep or a damaged one, or if its config
    names code that is not trusted.
    """
    directory = Path(directory)
    check_kind(directory, "sweep")
    check_precision(directory)
    with begun_in(origin_of(directory)):
        config = _stored(directory, trust)
        study = Study(directory, config, _names_code(config))
    study.add_trials()
    return study


def resume_sweep(
    directory: str | Path,
    *,
    trust: Trust = False,
    run_trial: RunTrial | None = None,
    progress: Progress | None = None,
) -> Trials:
    """Run trials of a sweep that has begun, beside other processes that do.

    **Arguments:** `directory`, of the sweep; `trust`, as for [`lagdyna.runs.load`][]; the
    others as for [`lagdyna.sweeps.work`][].

    **Returns:** all trials.

    **Raises:** `UserError` as [`lagdyna.sweeps.open_sweep`][] and [`lagdyna.sweeps.work`][].
    """
    study = open_sweep(directory, trust)
    with begun_in(origin_of(directory)), trusting(study.trust):
        return work(study, run_trial, progress)


def reserve_sweep(out: Path | None) -> AbstractContextManager[Path]:
    """Create the default directory of a sweep, unless another one was given.

    **Returns:** a context manager that gives the directory, and removes it at its end if it is
    still empty.
    """
    return reserved(out, _paths())


def _paths() -> Callable[[int], Path]:
    return lambda number: Path("runs") / f"sweep-{number}"


def _holds_sweep(directory: Path) -> bool:
    """Whether a directory holds a sweep.

    **Raises:** `UserError` if it holds anything else.
    """
    try:
        if not directory.exists():
            return False
    except OSError as error:  # its name is too long, for example
        raise cannot_write(directory, error) from error
    if not directory.is_dir():
        raise UserError(
            f"`out` was {str(directory)!r}, which is a file; a directory is accepted"
        )
    kind = kind_of(directory)
    if kind == "sweep":
        return True
    # Another process may be beginning the sweep just now.
    names = {path.name for path in directory.iterdir() if not path.name.startswith(".lagdyna-")}
    if kind is None and not names - {CLAIMS}:
        return False
    if kind_of(directory) == "sweep":
        return True
    check_empty(directory)
    return False


def _stored(directory: Path, trust: Trust = True) -> SweepConfig:
    """Read the config of a sweep in its directory.

    **Raises:** `UserError` if it is damaged or names code that is not trusted.
    """
    path = directory / FILE
    table = read_table(path)
    if trust is not True:
        for each in _run_tables(table):
            check_trusted(path, each, trust, set())
    try:
        return sweep_config(table)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _run_tables(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the config of runs, and that with each choice of each option.

    **Arguments:** `table`, of a sweep, before anything is converted.
    """
    base, space = table.get("train") or table.get("fit") or {}, table.get("space") or {}
    if not isinstance(base, Mapping) or not isinstance(space, Mapping):
        return []  # its conversion fails
    space = flattened(space)
    return [
        dict(base),
        *(
            with_options(base, {name: value})
            for name, values in space.items()
            if isinstance(values, list | tuple)
            for value in values
        ),
    ]


def _names_code(config: SweepConfig) -> bool:
    """Whether the config of a trial names Python code."""
    try:
        for each in _run_tables(table_of(config)):
            check_trusted(Path(), each, False, set())
    except UserError:
        return True
    return False
