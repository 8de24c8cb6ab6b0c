"""Simulation of vector fields: Diffrax solvers, transitions and rollouts."""

from ._learned_model import LearnedModel as LearnedModel
from ._mlp_transition import MLPTransition as MLPTransition
from ._rollout import rollout as rollout
from ._sampled import SampledTransition as SampledTransition
from ._scaled_transition import ScaledTransition as ScaledTransition
from ._scaled_transition import is_solved as is_solved
from ._scaled_transition import with_substeps as with_substeps
from ._signal_transition import SignalTransition as SignalTransition
from ._signal_transition import signals_of as signals_of
from ._signal_transition import without_signals as without_signals
from ._solvers import SOLVERS as SOLVERS
from ._solvers import get_solver as get_solver
from ._transition import AbstractTransition as AbstractTransition
from ._transition import SolvedTransition as SolvedTransition
from ._transition import Tolerances as Tolerances
from ._variational import MechanicalTerm as MechanicalTerm
from ._variational import VariationalMidpoint as VariationalMidpoint
from ._vector_field import AbstractSecondOrderField as AbstractSecondOrderField
from ._vector_field import AbstractVectorField as AbstractVectorField
from ._vector_field import AccelerationField as AccelerationField
from ._vector_field import HamiltonianField as HamiltonianField
from ._vector_field import LagrangianField as LagrangianField
from ._world_model import WorldModel as WorldModel
