"""Experiments of papers, reproduced."""

from ._entries import Entry as Entry
from ._entries import entry as entry
from ._names import REPRODUCTIONS as REPRODUCTIONS
from ._reproduction import AbstractReproduction as AbstractReproduction
from ._reproduction import Result as Result
from ._reproduction import Results as Results
from ._reproduction import reproduce as reproduce
from ._reproduction import reproduction_directory as reproduction_directory
from ._reproduction import reserve_reproduction as reserve_reproduction
from ._reproduction import resume_reproduction as resume_reproduction
