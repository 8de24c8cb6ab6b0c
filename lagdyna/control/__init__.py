"""Control through a model: equilibria, regulators, plans and controllers on any transition."""

from ._action_box import ActionBox as ActionBox
from ._controller import AbstractController as AbstractController
from ._controller import closed_loop as closed_loop
from ._equilibria import Equilibrium as Equilibrium
from ._equilibria import find_equilibrium as find_equilibrium
from ._linearise import LinearDynamics as LinearDynamics
from ._linearise import linearise as linearise
from ._lqr import LQR as LQR
from ._region import region_of_attraction as region_of_attraction
