"""Control through a model: equilibria, regulators, plans and controllers on any transition."""

from ._action_box import ActionBox as ActionBox
from ._cem import CEM as CEM
from ._cem import CEMMemory as CEMMemory
from ._computed_torque import ComputedTorque as ComputedTorque
from ._computed_torque import GravityCompensation as GravityCompensation
from ._controller import AbstractController as AbstractController
from ._controller import closed_loop as closed_loop
from ._costs import AbstractCost as AbstractCost
from ._costs import GoalCost as GoalCost
from ._costs import Quadratic as Quadratic
from ._costs import RewardCost as RewardCost
from ._equilibria import Equilibrium as Equilibrium
from ._equilibria import find_equilibrium as find_equilibrium
from ._ilqr import ILQR as ILQR
from ._linearise import LinearDynamics as LinearDynamics
from ._linearise import linearise as linearise
from ._lqr import LQR as LQR
from ._mpc import MPC as MPC
from ._mpc import MPCMemory as MPCMemory
from ._mppi import MPPI as MPPI
from ._mppi import MPPIMemory as MPPIMemory
from ._plan import Plan as Plan
from ._plan import PlanStatus as PlanStatus
from ._region import region_of_attraction as region_of_attraction
from ._tracking import Tracker as Tracker
from ._tracking import TrackerMemory as TrackerMemory
