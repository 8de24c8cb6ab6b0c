"""Learned models of mechanical systems and of rewards."""

from ._activation import Activation as Activation
from ._activation import softplus as softplus
from ._delan import DeLaN as DeLaN
from ._network import Network as Network
from ._reward import AbstractReward as AbstractReward
from ._reward import GivenReward as GivenReward
from ._reward import RewardNetwork as RewardNetwork
