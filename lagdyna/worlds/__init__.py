"""Learned models as environments, in which anyone's agent learns without the real system."""

from ._env import LearnedEnv as LearnedEnv
from ._task import world_task as world_task
