from collections.abc import Mapping
from types import MappingProxyType

from ._lutter2019_arm import Lutter2019Arm
from ._reproduction import AbstractReproduction

REPRODUCTIONS: Mapping[str, AbstractReproduction] = MappingProxyType(
    {each.name: each for each in (Lutter2019Arm(),)}
)
