"""Fits of models to recordings: data, problem, loop, evaluation and report."""

from ._data import PreparedData as PreparedData
from ._data import prepare as prepare
from ._evaluation import Drawn as Drawn
from ._evaluation import Motion as Motion
from ._evaluation import Report as Report
from ._evaluation import Torques as Torques
from ._evaluation import energy_drift as energy_drift
from ._evaluation import evaluate as evaluate
from ._evaluation import motions as motions
from ._evaluation import rollout_errors as rollout_errors
from ._loop import PIECES as PIECES
from ._loop import Record as Record
from ._loop import fit_loop as fit_loop
from ._plots import draw_fit as draw_fit
from ._plots import plot_rollout_errors as plot_rollout_errors
from ._plots import plot_torques as plot_torques
from ._posterior import model_posterior as model_posterior
from ._problem import FitProblem as FitProblem
from ._problem import fit_problem as fit_problem
from ._report import fit_report as fit_report
from ._sizes import Sizes as Sizes
from ._sizes import plant_of as plant_of
from ._sizes import sizes_of as sizes_of
from ._state import FitState as FitState
from ._state import initial_state as initial_state
from ._state import trainable_shapes as trainable_shapes
