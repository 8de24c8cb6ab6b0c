"""Rigid-body suite: seven tasks in pure JAX, also as Gymnasium environments."""

from ._compiled import start as start
from ._entries import SUITE as SUITE
from ._entries import SuiteEntry as SuiteEntry
from ._entries import suite_name as suite_name
from ._entries import suite_task as suite_task
from ._env import SuiteEnv as SuiteEnv
from ._task import SuiteTask as SuiteTask
from ._vector_env import SuiteVectorEnv as SuiteVectorEnv
