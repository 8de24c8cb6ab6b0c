"""Options and builders of dynamics models, one file a family."""

from ._base import MODELS as MODELS
from ._base import DynamicsConfig as DynamicsConfig
from ._black_box import ConstrainedMLPConfig as ConstrainedMLPConfig
from ._black_box import MLPConfig as MLPConfig
from ._black_box import NeuralODEConfig as NeuralODEConfig
from ._hamiltonian import HNNConfig as HNNConfig
from ._hamiltonian import StructuredHNNConfig as StructuredHNNConfig
from ._known import KnownConfig as KnownConfig
from ._known import ResidualConfig as ResidualConfig
from ._lagrangian import DeLaNConfig as DeLaNConfig
from ._lagrangian import LNNConfig as LNNConfig
from ._robot import RobotConfig as RobotConfig
from ._robot import RobotResidualConfig as RobotResidualConfig
from ._simulator import SimulatorConfig as SimulatorConfig

MODELS.add(
    DeLaNConfig,
    LNNConfig,
    HNNConfig,
    StructuredHNNConfig,
    NeuralODEConfig,
    MLPConfig,
    ConstrainedMLPConfig,
    KnownConfig,
    ResidualConfig,
    RobotConfig,
    RobotResidualConfig,
    SimulatorConfig,
)
