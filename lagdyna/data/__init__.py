"""Recordings, their file formats, transitions as PyTrees, and the replay buffer."""

from ._data_error import DataError as DataError
from ._degrees import DegreesWarning as DegreesWarning
from ._degrees import warn_if_degrees as warn_if_degrees
from ._experience import Experience as Experience
from ._fields import FIELDS as FIELDS
from ._files import read as read
from ._files import write as write
from ._limit import LIMIT_BYTES as LIMIT_BYTES
from ._minari import ObservationLayout as ObservationLayout
from ._minari import read_minari as read_minari
from ._recorded import TimedExperience as TimedExperience
from ._recorded import Windows as Windows
from ._recorded import recorded_accelerations as recorded_accelerations
from ._recorded import recorded_experience as recorded_experience
from ._recorded import recorded_steps as recorded_steps
from ._recorded import recorded_windows as recorded_windows
from ._replay import ReplayBuffer as ReplayBuffer
from ._resample import resample as resample
from ._smoothing import estimate_noise as estimate_noise
from ._smoothing import estimate_velocities as estimate_velocities
from ._split import Split as Split
from ._split import SplitWarning as SplitWarning
from ._split import split as split
from ._trajectory import Trajectory as Trajectory
from ._trajectory import TrajectorySet as TrajectorySet
from ._trajectory import split_at_gaps as split_at_gaps
