"""From a vector field to a simulator: Diffrax solvers, transitions and rollouts."""

from ._rollout import rollout as rollout
from ._solvers import SOLVERS as SOLVERS
from ._solvers import get_solver as get_solver
from ._transition import AbstractTransition as AbstractTransition
from ._transition import SolvedTransition as SolvedTransition
from ._transition import Tolerances as Tolerances
from ._vector_field import AbstractVectorField as AbstractVectorField
from ._vector_field import LagrangianField as LagrangianField
