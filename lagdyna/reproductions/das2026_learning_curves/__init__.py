"""Adam and Kalman filters: error against updates, seconds and data (Das et al. 2026)."""

from ._reproduction import Das2026LearningCurves as Das2026LearningCurves
