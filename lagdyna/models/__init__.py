"""Learned models of dynamics, reward and termination."""

from ._activation import Activation as Activation
from ._activation import softplus as softplus
from ._chain_delan import ChainDeLaN as ChainDeLaN
from ._delan import DeLaN as DeLaN
from ._hnn import HNN as HNN
from ._lnn import LNN as LNN
from ._network import Network as Network
from ._neural_ode import NeuralODE as NeuralODE
from ._residual import NetworkForce as NetworkForce
from ._residual import ResidualAcceleration as ResidualAcceleration
from ._residual import ResidualForce as ResidualForce
from ._reward import AbstractReward as AbstractReward
from ._reward import GivenReward as GivenReward
from ._reward import RewardFn as RewardFn
from ._reward import RewardNetwork as RewardNetwork
from ._scales import scaled as scaled
from ._structured_hnn import StructuredHNN as StructuredHNN
from ._termination import AbstractTermination as AbstractTermination
from ._termination import BoundTermination as BoundTermination
from ._termination import NoTermination as NoTermination
from ._termination import TerminationNetwork as TerminationNetwork
