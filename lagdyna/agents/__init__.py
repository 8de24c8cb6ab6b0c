"""Policies, critics, and the agents that learn them."""

from ._imagination import Behaviour as Behaviour
from ._imagination import ImaginationActorCritic as ImaginationActorCritic
from ._imagination import Imagined as Imagined
from ._imagination import imagine as imagine
from ._networks import Critic as Critic
from ._networks import Features as Features
from ._networks import Policy as Policy
from ._returns import lambda_returns as lambda_returns
from ._starts import mixed_starts as mixed_starts
from ._starts import uniform_states as uniform_states
from ._survival import survival as survival
