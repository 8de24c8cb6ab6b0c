"""Policies, critics, and the agents that learn them."""

from ._dyna import Dyna as Dyna
from ._dyna import DynaBehaviour as DynaBehaviour
from ._imagination import Behaviour as Behaviour
from ._imagination import ImaginationActorCritic as ImaginationActorCritic
from ._imagination import Imagined as Imagined
from ._imagination import clipped as clipped
from ._imagination import imagine as imagine
from ._imagination import imagined_return as imagined_return
from ._networks import AbstractPolicy as AbstractPolicy
from ._networks import Critic as Critic
from ._networks import Features as Features
from ._networks import NoisyPolicy as NoisyPolicy
from ._networks import Policy as Policy
from ._off_policy import SAC as SAC
from ._off_policy import TD3 as TD3
from ._off_policy import AbstractOffPolicy as AbstractOffPolicy
from ._off_policy import ActionCritic as ActionCritic
from ._off_policy import ActorCritic as ActorCritic
from ._planner import Plans as Plans
from ._planner import ShootingPlanner as ShootingPlanner
from ._returns import lambda_returns as lambda_returns
from ._starts import mixed_starts as mixed_starts
from ._starts import promising_states as promising_states
from ._starts import pushed_states as pushed_states
from ._starts import uniform_states as uniform_states
from ._survival import survival as survival
