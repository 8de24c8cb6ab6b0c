"""Losses, and the learners that reduce them."""

from ._accelerations import accelerations as accelerations
from ._fit import Fit as Fit
from ._fit import fit as fit
from ._fit import learn as learn
from ._kalman import KalmanLearner as KalmanLearner
from ._kalman import KalmanState as KalmanState
from ._learner import AbstractLearner as AbstractLearner
from ._learner import GradientLearner as GradientLearner
from ._learner import all_finite as all_finite
from ._learner import apply_gradient as apply_gradient
from ._least_squares import LevenbergMarquardtLearner as LevenbergMarquardtLearner
from ._losses import AbstractLoss as AbstractLoss
from ._losses import AbstractSquaredLoss as AbstractSquaredLoss
from ._losses import Accelerations as Accelerations
from ._losses import ForwardLoss as ForwardLoss
from ._losses import InverseLoss as InverseLoss
from ._losses import MultiStepLoss as MultiStepLoss
from ._losses import OneStepLoss as OneStepLoss
from ._losses import RewardLoss as RewardLoss
from ._residual_loss import MotionResidual as MotionResidual
from ._residual_loss import Residual as Residual
from ._residual_loss import ResidualLoss as ResidualLoss
from ._scales import root_mean_square as root_mean_square
from ._scales import step_scale as step_scale
