"""Progress of training runs and fits: one protocol, and displays."""

from typing import TYPE_CHECKING

from .._lazy import lazy_names
from ._abstract import AbstractProgress as AbstractProgress
from ._abstract import Silence as Silence
from ._displays import ProgressLike as ProgressLike
from ._displays import progress_of as progress_of
from ._many import ManyProgress as ManyProgress
from ._text import total_of as total_of

if TYPE_CHECKING:
    from ._compiling import CompilationWatch as CompilationWatch
    from ._lines import LineDisplay as LineDisplay
    from ._live import LiveDisplay as LiveDisplay

# The displays need Rich, which takes a tenth of a second to import.
__getattr__, __dir__ = lazy_names(
    __name__,
    {"CompilationWatch": "_compiling", "LineDisplay": "_lines", "LiveDisplay": "_live"},
)
