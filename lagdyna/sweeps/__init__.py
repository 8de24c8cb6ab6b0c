"""Sweeps: options of runs that are searched by several processes or machines.

Names are imported on first use, so that a job begins without what trains.
"""

from typing import TYPE_CHECKING

from .._lazy import lazy_names

if TYPE_CHECKING:
    from ._assignment import Assignment as Assignment
    from ._assignment import Outcome as Outcome
    from ._assignment import RunTrial as RunTrial
    from ._config import LocalConfig as LocalConfig
    from ._config import SlurmConfig as SlurmConfig
    from ._config import SweepConfig as SweepConfig
    from ._config import load_sweep as load_sweep
    from ._config import read_sweep as read_sweep
    from ._config import sweep_config as sweep_config
    from ._launch import Jobs as Jobs
    from ._launch import Launcher as Launcher
    from ._launch import check_launcher as check_launcher
    from ._launch import launch as launch
    from ._launch import slurm_config as slurm_config
    from ._launch import without_options as without_options
    from ._run_trial import run_fits as run_fits
    from ._run_trial import run_training as run_training
    from ._study import Pruned as Pruned
    from ._study import Study as Study
    from ._sweep import begin_sweep as begin_sweep
    from ._sweep import open_sweep as open_sweep
    from ._sweep import reserve_sweep as reserve_sweep
    from ._sweep import resume_sweep as resume_sweep
    from ._sweep import sweep as sweep
    from ._trials import Trial as Trial
    from ._trials import Trials as Trials
    from ._trials import best_trials as best_trials
    from ._trials import read_trials as read_trials
    from ._worker import Progress as Progress
    from ._worker import work as work

_NAMES = {
    "_assignment": ("Assignment", "Outcome", "RunTrial"),
    "_config": (
        *("LocalConfig", "SlurmConfig", "SweepConfig"),
        *("load_sweep", "read_sweep", "sweep_config"),
    ),
    "_launch": (
        *("Jobs", "Launcher", "check_launcher", "launch"),
        *("slurm_config", "without_options"),
    ),
    "_run_trial": ("run_fits", "run_training"),
    "_study": ("Pruned", "Study"),
    "_sweep": ("begin_sweep", "open_sweep", "reserve_sweep", "resume_sweep", "sweep"),
    "_trials": ("Trial", "Trials", "best_trials", "read_trials"),
    "_worker": ("Progress", "work"),
}

__getattr__, __dir__ = lazy_names(
    __name__, {name: source for source, names in _NAMES.items() for name in names}
)
