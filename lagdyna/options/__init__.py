"""Options of configs: parts by name, conversion of tables, and TOML files."""

from ._convert import Table as Table
from ._convert import convert as convert
from ._convert import nearest as nearest
from ._convert import part_of as part_of
from ._convert import table_of as table_of
from ._differences import check_unchanged as check_unchanged
from ._differences import differences as differences
from ._part import Family as Family
from ._part import Part as Part
from ._part import described as described
from ._part import name_of as name_of
from ._toml import config_to_toml as config_to_toml
from ._toml import parse_value as parse_value
from ._toml import read_table as read_table
from ._types import ActivationName as ActivationName
from ._types import Count as Count
from ._types import Discount as Discount
from ._types import DissipationName as DissipationName
from ._types import Fraction as Fraction
from ._types import NonNegative as NonNegative
from ._types import Positive as Positive
from ._types import UpToOne as UpToOne
from ._types import Whole as Whole
from ._types import Widths as Widths
from ._user_part import names_code as names_code
from ._user_part import user_part as user_part
