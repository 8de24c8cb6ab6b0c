"""Joint forces of robots, linear in their parameters, and identification by them."""

from ._identify import identified_start as identified_start
from ._identify import identify as identify
from ._identify import identify_weighted as identify_weighted
from ._identify import is_linear as is_linear
from ._identify import robot_system as robot_system
from ._links import PER_LINK as PER_LINK
from ._links import linear_parameters as linear_parameters
from ._rows import Column as Column
from ._rows import JointFactors as JointFactors
from ._rows import Reduced as Reduced
from ._rows import parameters_of as parameters_of
from ._rows import reduce as reduce
from ._rows import reduce_joints as reduce_joints
from ._rows import regressor as regressor
from ._rows import row_regressors as row_regressors
from ._rows import together as together
