"""Run directories: training runs, fits, evaluations and comparisons.

Names are imported on first use: a policy is loaded without what trained it.
"""

from typing import TYPE_CHECKING

from .._lazy import lazy_names

if TYPE_CHECKING:
    from ._compare import compare as compare
    from ._compare_fits import compare_fits as compare_fits
    from ._compare_training import compare_training as compare_training
    from ._config_of import config_of as config_of
    from ._directory import default_directory as default_directory
    from ._directory import probe as probe
    from ._evaluate import evaluate as evaluate
    from ._fit import FittedRun as FittedRun
    from ._fit import fit_directory as fit_directory
    from ._fit import fit_model as fit_model
    from ._fit import load_fit as load_fit
    from ._fit import load_problem as load_problem
    from ._fit import resume_fit as resume_fit
    from ._kept import kept as kept
    from ._load import load as load
    from ._load import resume as resume
    from ._load_policy import load_policy as load_policy
    from ._machine import processor as processor
    from ._pack import Packed as Packed
    from ._pack import pack as pack
    from ._pack import unpack as unpack
    from ._plan import PlannedMotion as PlannedMotion
    from ._plan import plan_motion as plan_motion
    from ._policy import RunPolicy as RunPolicy
    from ._policy import policy_of as policy_of
    from ._reserve import reserve_directory as reserve_directory
    from ._seeds import directories_of as directories_of
    from ._seeds import resume_seeds as resume_seeds
    from ._seeds import train_seeds as train_seeds
    from ._short import fit as fit
    from ._train import Run as Run
    from ._train import load_run as load_run
    from ._train import resume_run as resume_run
    from ._train import train as train
    from ._trust import Trust as Trust
    from ._trust import check_trusted as check_trusted

_NAMES = {
    "_compare": ("compare",),
    "_compare_fits": ("compare_fits",),
    "_compare_training": ("compare_training",),
    "_config_of": ("config_of",),
    "_directory": ("default_directory", "probe"),
    "_evaluate": ("evaluate",),
    "_fit": (
        "FittedRun",
        "fit_directory",
        "fit_model",
        "load_fit",
        "load_problem",
        "resume_fit",
    ),
    "_kept": ("kept",),
    "_load": (
        "load",
        "resume",
    ),
    "_machine": ("processor",),
    "_pack": ("Packed", "pack", "unpack"),
    "_plan": (
        "PlannedMotion",
        "plan_motion",
    ),
    "_load_policy": ("load_policy",),
    "_policy": ("RunPolicy", "policy_of"),
    "_reserve": ("reserve_directory",),
    "_seeds": (
        "directories_of",
        "resume_seeds",
        "train_seeds",
    ),
    "_short": ("fit",),
    "_train": (
        "Run",
        "load_run",
        "resume_run",
        "train",
    ),
    "_trust": ("Trust", "check_trusted"),
}

__getattr__, __dir__ = lazy_names(
    __name__, {name: source for source, names in _NAMES.items() for name in names}
)
