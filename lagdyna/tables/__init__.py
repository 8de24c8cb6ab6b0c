"""Tables of numbers in files: names of files and columns, units, columns of other times."""

from ._columns import Columns as Columns
from ._columns import expand_columns as expand_columns
from ._columns import field_of as field_of
from ._columns import stack_columns as stack_columns
from ._header import Header as Header
from ._header import read_header as read_header
from ._joint_states import JointStates as JointStates
from ._joint_states import is_bag as is_bag
from ._joint_states import read_joint_states as read_joint_states
from ._merge import merge_columns as merge_columns
from ._merge import sort_by_time as sort_by_time
from ._sources import Source as Source
from ._sources import find_files as find_files
from ._sources import is_minari as is_minari
from ._sources import natural_sort_key as natural_sort_key
from ._times import begin_at_zero as begin_at_zero
from ._times import epoch_unit as epoch_unit
from ._times import parse_stamp as parse_stamp
from ._times import shifted_note as shifted_note
from ._times import since_start as since_start
from ._units import factor_of as factor_of
from ._units import is_unit as is_unit
