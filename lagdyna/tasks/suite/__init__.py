"""Rigid-body suite: chains of links in pure JAX, also as Gymnasium environments."""

from . import realaigym as realaigym
from ._compiled import start as start
from ._draw import draw_chain as draw_chain
from ._draw import is_chain as is_chain
from ._entries import SUITE as SUITE
from ._entries import SuiteEntry as SuiteEntry
from ._env import SuiteEnv as SuiteEnv
from ._lookup import suite_name as suite_name
from ._lookup import suite_task as suite_task
from ._task import SuiteTask as SuiteTask
from ._vector_env import SuiteVectorEnv as SuiteVectorEnv
from ._world_model import SuiteReward as SuiteReward
from ._world_model import SuiteTransition as SuiteTransition
from ._world_model import suite_world_model as suite_world_model
from ._yardsticks import YARDSTICKS as YARDSTICKS
