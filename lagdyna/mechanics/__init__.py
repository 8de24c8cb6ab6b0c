"""What a Lagrangian is, and the mechanics that follow from it."""

from . import euler_lagrange as euler_lagrange
from . import linalg as linalg
from ._actuation import AbstractActuation as AbstractActuation
from ._actuation import FixedActuation as FixedActuation
from ._actuation import LearnedActuation as LearnedActuation
from ._coordinates import Coordinates as Coordinates
from ._dissipation import AbstractDissipation as AbstractDissipation
from ._dissipation import CoulombDissipation as CoulombDissipation
from ._dissipation import NoDissipation as NoDissipation
from ._dissipation import SumDissipation as SumDissipation
from ._dissipation import ViscousDissipation as ViscousDissipation
from ._lagrangian import AbstractGeneralLagrangian as AbstractGeneralLagrangian
from ._lagrangian import AbstractLagrangian as AbstractLagrangian
from ._lagrangian import Forces as Forces
from ._mass_solve import AbstractMassSolve as AbstractMassSolve
from ._mass_solve import DampedSolve as DampedSolve
from ._mass_solve import ExactSolve as ExactSolve
from ._mass_solve import PseudoInverseSolve as PseudoInverseSolve
from ._rigid_body import AbstractRigidBody as AbstractRigidBody
from ._state import State as State
from ._system import MechanicalSystem as MechanicalSystem
