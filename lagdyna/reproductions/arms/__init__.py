"""Robot arms in space: identified, learned with their structure, and learned without."""

from ._reproduction import Arms as Arms
from ._reproduction import make_arm_part as make_arm_part
