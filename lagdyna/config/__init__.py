"""Configs of training runs and fits."""

from ._checks import given as given
from ._fit import DataConfig as DataConfig
from ._fit import FitConfig as FitConfig
from ._fit import check_fit_config as check_fit_config
from ._fit import fit_config as fit_config
from ._known import Known as Known
from ._known import with_equations as with_equations
from ._override import override as override
from ._sections import CollectConfig as CollectConfig
from ._sections import EvaluationConfig as EvaluationConfig
from ._sections import RewardConfig as RewardConfig
from ._tables import check_config as check_config
from ._tables import config_from_table as config_from_table
from ._tables import load_config as load_config
from ._train import Config as Config
