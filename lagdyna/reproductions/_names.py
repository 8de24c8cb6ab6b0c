from collections.abc import Mapping
from types import MappingProxyType

from ._cranmer2020_double_pendulum import Cranmer2020DoublePendulum
from ._cranmer2020_relativistic_particle import Cranmer2020RelativisticParticle
from ._das2026_figure3 import Das2026Figure3
from ._lutter2019_arm import Lutter2019Arm
from ._reproduction import AbstractReproduction
from .arms import Arms
from .das2026_learning_curves import Das2026LearningCurves
from .ramesh2023_suite import Ramesh2023Suite

_ALL = (
    Arms(),
    Cranmer2020DoublePendulum(),
    Cranmer2020RelativisticParticle(),
    Das2026Figure3(),
    Das2026LearningCurves(),
    Lutter2019Arm(),
    Ramesh2023Suite(),
)
REPRODUCTIONS: Mapping[str, AbstractReproduction] = MappingProxyType(
    {each.name: each for each in _ALL}
)
"""Reproductions by name."""
