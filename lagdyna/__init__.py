"""Learn the Lagrangian of a mechanical system, and learn to control the system inside it.

Names are imported on first use, so that `lagdyna --help` need not wait for JAX.
"""

from typing import TYPE_CHECKING

from ._environments import register_suite as _register_suite
from ._lazy import lazy_names

if TYPE_CHECKING:
    from . import agents as agents
    from . import checks as checks
    from . import config as config
    from . import control as control
    from . import data as data
    from . import excitation as excitation
    from . import export as export
    from . import filters as filters
    from . import identification as identification
    from . import learners as learners
    from . import logs as logs
    from . import mechanics as mechanics
    from . import models as models
    from . import options as options
    from . import parts as parts
    from . import plot as plot
    from . import progress as progress
    from . import reports as reports
    from . import reproductions as reproductions
    from . import results as results
    from . import runs as runs
    from . import runtime as runtime
    from . import simulate as simulate
    from . import statistics as statistics
    from . import sweeps as sweeps
    from . import systems as systems
    from . import tables as tables
    from . import tasks as tasks
    from . import training as training
    from . import worlds as worlds
    from ._errors import UserError as UserError
    from ._version import __version__ as __version__
    from .checks import check_task as check_task
    from .config import Config as Config
    from .config import FitConfig as FitConfig
    from .mechanics import State as State
    from .runs import compare as compare
    from .runs import evaluate as evaluate
    from .runs import fit as fit
    from .runs import fit_model as fit_model
    from .runs import load as load
    from .runs import load_fit as load_fit
    from .runs import load_policy as load_policy
    from .runs import load_run as load_run
    from .runs import resume as resume
    from .runs import train as train
    from .runs import train_seeds as train_seeds
    from .worlds import world_task as world_task

_ROOMS = (
    *("agents", "checks", "config", "control", "data", "excitation", "export"),
    "filters",
    *("identification", "learners", "logs"),
    *("mechanics", "models", "options", "parts", "plot", "progress", "reports"),
    *("reproductions", "results", "runs"),
    "runtime",
    *("simulate", "statistics", "sweeps", "systems", "tables", "tasks", "training", "worlds"),
)
_NAMES = {
    "_errors": ("UserError",),
    "_version": ("__version__",),
    "checks": ("check_task",),
    "config": ("Config", "FitConfig"),
    "mechanics": ("State",),
    "runs": (
        *("compare", "evaluate", "fit", "fit_model", "load", "load_fit", "load_policy"),
        *("load_run", "resume", "train", "train_seeds"),
    ),
    "worlds": ("world_task",),
}

_register_suite()

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        **dict.fromkeys(_ROOMS),
        **{name: source for source, names in _NAMES.items() for name in names},
    },
)
