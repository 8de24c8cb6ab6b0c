"""Scores and success criteria of published benchmarks: RealAIGym's leaderboard and PILCO."""

from ._performance import RealAIGymScore as RealAIGymScore
from ._performance import realaigym_score as realaigym_score
from ._pilco import pilco_success as pilco_success
from ._robustness import RealAIGymRobustness as RealAIGymRobustness
from ._robustness import realaigym_robustness as realaigym_robustness
from ._simulate import AbstractController as AbstractController
from ._simulate import HeldController as HeldController
from ._simulate import RealAIGymTrajectory as RealAIGymTrajectory
from ._simulate import realaigym_trajectory as realaigym_trajectory
from ._variation import Variation as Variation
