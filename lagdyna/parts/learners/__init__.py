"""Options and builders of learners, one file a family."""

from ._base import LEARNERS as LEARNERS
from ._base import Budget as Budget
from ._base import LearnerConfig as LearnerConfig
from ._base import Usual as Usual
from ._filters import AutoFilterConfig as AutoFilterConfig
from ._filters import BlockEKFConfig as BlockEKFConfig
from ._filters import CKFConfig as CKFConfig
from ._filters import DiagonalEKFConfig as DiagonalEKFConfig
from ._filters import EKFConfig as EKFConfig
from ._filters import EnsembleConfig as EnsembleConfig
from ._filters import FilterConfig as FilterConfig
from ._filters import LowRankEKFConfig as LowRankEKFConfig
from ._filters import ParticleConfig as ParticleConfig
from ._filters import UKFConfig as UKFConfig
from ._gradient import AdamConfig as AdamConfig
from ._gradient import AdamWConfig as AdamWConfig
from ._gradient import GradientConfig as GradientConfig
from ._gradient import LionConfig as LionConfig
from ._gradient import RMSPropConfig as RMSPropConfig
from ._gradient import SGDConfig as SGDConfig
from ._levenberg_marquardt import LevenbergMarquardtConfig as LevenbergMarquardtConfig
from ._memory import available_memory as available_memory
from ._memory import check_memory as check_memory

LEARNERS.add(
    AdamConfig,
    AdamWConfig,
    LionConfig,
    RMSPropConfig,
    SGDConfig,
    LevenbergMarquardtConfig,
    EKFConfig,
    BlockEKFConfig,
    DiagonalEKFConfig,
    LowRankEKFConfig,
    CKFConfig,
    UKFConfig,
    EnsembleConfig,
    ParticleConfig,
    AutoFilterConfig,
)
