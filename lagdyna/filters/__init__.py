"""Filters that estimate a model's weights, and their posterior distributions."""

from ._covariance import AbstractCovariance as AbstractCovariance
from ._covariance import BlockCovariance as BlockCovariance
from ._covariance import GainCovariance as GainCovariance
from ._covariance import LowRankCovariance as LowRankCovariance
from ._covariance import RootCovariance as RootCovariance
from ._ensemble import EnsembleLearner as EnsembleLearner
from ._ensemble import ParticleLearner as ParticleLearner
from ._ensemble import Particles as Particles
from ._filter import AbstractFilter as AbstractFilter
from ._filter import FilterState as FilterState
from ._kalman import KalmanLearner as KalmanLearner
from ._posterior import LEVELS as LEVELS
from ._posterior import AbstractPosterior as AbstractPosterior
from ._posterior import GaussianPosterior as GaussianPosterior
from ._posterior import Prediction as Prediction
from ._posterior import SampledPosterior as SampledPosterior
from ._posterior import calibrated as calibrated
from ._posterior import coverage as coverage
from ._sigma_points import SigmaPointLearner as SigmaPointLearner
from ._weight_groups import Blocks as Blocks
from ._weight_groups import covariance_size as covariance_size
from ._weight_groups import largest_block as largest_block
