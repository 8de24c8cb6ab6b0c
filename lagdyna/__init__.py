"""Learn the Lagrangian of a mechanical system, and learn to control the system inside it.

What stands here is imported when it is first asked for, so that `lagdyna --help` need not wait
for what it does not use.
"""

import importlib
from typing import TYPE_CHECKING

from ._environments import register_suite

if TYPE_CHECKING:
    from . import agents as agents
    from . import data as data
    from . import experiments as experiments
    from . import learners as learners
    from . import mechanics as mechanics
    from . import models as models
    from . import simulate as simulate
    from . import systems as systems
    from . import tasks as tasks
    from .experiments import Config as Config
    from .experiments import FitConfig as FitConfig
    from .experiments import compare as compare
    from .experiments import compare_training as compare_training
    from .experiments import evaluate as evaluate
    from .experiments import fit_model as fit_model
    from .experiments import load as load
    from .experiments import load_fit as load_fit
    from .experiments import load_run as load_run
    from .experiments import resume as resume
    from .experiments import train as train
    from .experiments import train_seeds as train_seeds
    from .mechanics import State as State

_FLOORS = (
    *("agents", "data", "experiments", "learners", "mechanics"),
    *("models", "simulate", "systems", "tasks"),
)
_FLOOR_OF = {
    **dict.fromkeys(("Config", "FitConfig", "compare", "compare_training"), "experiments"),
    **dict.fromkeys(("evaluate", "fit_model", "load", "load_fit", "load_run"), "experiments"),
    **dict.fromkeys(("resume", "train", "train_seeds"), "experiments"),
    "State": "mechanics",
}

register_suite()


def __getattr__(name: str) -> object:
    if name in _FLOORS:
        return importlib.import_module(f".{name}", __name__)
    if name not in _FLOOR_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f".{_FLOOR_OF[name]}", __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*_FLOORS, *_FLOOR_OF})
