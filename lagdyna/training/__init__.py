"""The training run: its state, its compiled programs and its loop."""

from ._environment import EPISODE as EPISODE
from ._environment import EVALUATE as EVALUATE
from ._environment import EVALUATE_AGAIN as EVALUATE_AGAIN
from ._environment import PICTURE as PICTURE
from ._environment import AbstractEnvironmentLoop as AbstractEnvironmentLoop
from ._environment import Episode as Episode
from ._environment import start_seeds as start_seeds
from ._evaluation import Act as Act
from ._evaluation import Rollout as Rollout
from ._evaluation import evaluate_policy as evaluate_policy
from ._evaluation import record_rollout as record_rollout
from ._evaluation import still_going as still_going
from ._model_learner import ModelLearner as ModelLearner
from ._pictures import draw as draw
from ._round import Record as Record
from ._round import Records as Records
from ._round import Round as Round
from ._rounds import make_environment_loop as make_environment_loop
from ._rounds import run_rounds as run_rounds
from ._seeds import AbstractSeeds as AbstractSeeds
from ._seeds import ManySeeds as ManySeeds
from ._seeds import OneSeed as OneSeed
from ._state import EnvironmentState as EnvironmentState
from ._state import LearnerStates as LearnerStates
from ._state import TrainingState as TrainingState
from ._trainer import Trainer as Trainer
