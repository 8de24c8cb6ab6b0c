"""Off-policy actor-critics, and the Dyna agent that trains them with a world model."""

from ._base import AbstractOffPolicy as AbstractOffPolicy
from ._base import ActionCritic as ActionCritic
from ._base import OffPolicyState as OffPolicyState
from ._base import action_values as action_values
from ._dyna import Dyna as Dyna
from ._dyna import DynaState as DynaState
from ._sac import SAC as SAC
from ._sac import Temperature as Temperature
from ._td3 import TD3 as TD3
