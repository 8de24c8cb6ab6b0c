"""Options and builders of agents, one file an agent."""

from ._algorithms import ALGORITHMS as ALGORITHMS
from ._algorithms import AlgorithmConfig as AlgorithmConfig
from ._algorithms import SACConfig as SACConfig
from ._algorithms import TD3Config as TD3Config
from ._base import AGENTS as AGENTS
from ._base import AgentConfig as AgentConfig
from ._base import AgentDefaults as AgentDefaults
from ._base import PosteriorConfig as PosteriorConfig
from ._base import Schedule as Schedule
from ._dyna import DynaConfig as DynaConfig
from ._imagination import ImaginationConfig as ImaginationConfig
from ._planner import PlannerConfig as PlannerConfig

ALGORITHMS.add(TD3Config, SACConfig)
AGENTS.add(ImaginationConfig, DynaConfig, PlannerConfig)
