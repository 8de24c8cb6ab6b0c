"""Control tasks: environment descriptions, the Gymnasium adapter and the suite."""

from ._faults import EnvironmentFault as EnvironmentFault
from ._faults import ObservationError as ObservationError
from ._gymnasium import GymnasiumTask as GymnasiumTask
from ._gymnasium import Outcome as Outcome
from ._gymnasium import RenderingError as RenderingError
from ._gymnasium import with_action_bounds as with_action_bounds
from ._gymnasium_batch import GymnasiumBatch as GymnasiumBatch
from ._known import in_bounds as in_bounds
from ._known import known_equations as known_equations
from ._make import WrapperSpec as WrapperSpec
from ._plant import Plant as Plant
from ._reacher_target import ReacherTarget as ReacherTarget
from ._read_state import read_state as read_state
from ._registry import TASKS as TASKS
from ._registry import get_task as get_task
from ._spec import CoordinateSpec as CoordinateSpec
from ._spec import TaskSpec as TaskSpec
from .suite import SUITE as SUITE
from .suite import YARDSTICKS as YARDSTICKS
from .suite import SuiteEntry as SuiteEntry
from .suite import SuiteEnv as SuiteEnv
from .suite import SuiteTask as SuiteTask
from .suite import SuiteVectorEnv as SuiteVectorEnv
from .suite import suite_name as suite_name
from .suite import suite_task as suite_task
