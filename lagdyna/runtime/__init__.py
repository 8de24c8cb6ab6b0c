"""Exported policies and models for control loops, with NumPy alone and without JAX."""

from ._contract import CONTRACT_FILE as CONTRACT_FILE
from ._contract import Check as Check
from ._contract import Contract as Contract
from ._contract import Format as Format
from ._contract import NetworkFacts as NetworkFacts
from ._contract import Port as Port
from ._contract import sealed as sealed
from ._exported import Call as Call
from ._exported import ExportedPolicy as ExportedPolicy
from ._exported import is_exported as is_exported
from ._exported import load_contract as load_contract
from ._exported import load_exported_policy as load_exported_policy
from ._exported import load_initial as load_initial
from ._exported import load_program as load_program
from ._exported import needed as needed
from ._network import ACTIVATIONS as ACTIVATIONS
from ._predictor import AbstractPredictor as AbstractPredictor
from ._predictor import PredictorState as PredictorState
from ._predictor import rescaled as rescaled
from ._reading import ObservedCoordinate as ObservedCoordinate
from ._reading import Reading as Reading
from ._reading import Spaces as Spaces
from ._reading import read_arrays as read_arrays
from ._reading import read_positions as read_positions
from ._velocities import PositionHistory as PositionHistory
from ._velocities import VelocityEstimator as VelocityEstimator
