"""Control through a model: equilibria, regulators, plans and controllers on any transition."""

from ._action_box import ActionBox as ActionBox
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
from ._plan import Plan as Plan
from ._plan import PlanStatus as PlanStatus
from ._region import region_of_attraction as region_of_attraction
