"""Control problems: what lagdyna must be told about an environment, and its adapter."""

from ._gymnasium import GymnasiumBatch as GymnasiumBatch
from ._gymnasium import GymnasiumTask as GymnasiumTask
from ._gymnasium import Outcome as Outcome
from ._gymnasium import read_state as read_state
from ._registry import TASKS as TASKS
from ._registry import get_task as get_task
from ._spec import CoordinateSpec as CoordinateSpec
from ._spec import TaskSpec as TaskSpec
