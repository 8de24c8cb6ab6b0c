from contextlib import AbstractContextManager
from pathlib import Path

from ..config import Config, FitConfig
from ..results import reserved
from ._directory import run_paths
from ._fit import fit_paths


def reserve_directory(
    config: Config | FitConfig, out: Path | None = None
) -> AbstractContextManager[Path]:
    """Create the default directory of a run, unless another one was given.

    Runs that start at the same time get directories of their own.

    **Arguments:** `config`, of the run; `out`, a directory that is used instead.

    **Returns:** a context manager that gives the directory, and removes it at its end if it is
    still empty.

    **Raises:** `UserError` if the directory cannot be created.
    """
    paths = fit_paths(config) if isinstance(config, FitConfig) else run_paths(config)
    return reserved(out, paths)
