"""Learn the Lagrangian of a mechanical system, and learn to control the system inside it."""

from . import agents as agents
from . import data as data
from . import experiments as experiments
from . import fit as fit
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
