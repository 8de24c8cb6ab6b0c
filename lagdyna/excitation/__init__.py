"""Exciting trajectories for the identification of robots."""

from ._excite import Excitation as Excitation
from ._excite import excite as excite
from ._files import write_excitation as write_excitation
from ._fourier import FourierMotion as FourierMotion
from ._fourier import JointLimits as JointLimits
