"""Run directories: training runs, fits, evaluations and comparisons."""

from ._compare import compare as compare
from ._compare_fits import compare_fits as compare_fits
from ._compare_training import compare_training as compare_training
from ._directory import config_of as config_of
from ._directory import default_directory as default_directory
from ._evaluate import evaluate as evaluate
from ._fit import FittedRun as FittedRun
from ._fit import fit_directory as fit_directory
from ._fit import fit_model as fit_model
from ._fit import load_fit as load_fit
from ._fit import resume_fit as resume_fit
from ._kept import kept as kept
from ._load import load as load
from ._load import resume as resume
from ._plan import PlannedMotion as PlannedMotion
from ._plan import plan_motion as plan_motion
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
