"""Experiments of papers, made again."""

from ._names import REPRODUCTIONS as REPRODUCTIONS
from ._reproduction import AbstractReproduction as AbstractReproduction
from ._reproduction import Entry as Entry
from ._reproduction import Results as Results
from ._reproduction import is_reproduction as is_reproduction
from ._reproduction import reproduce as reproduce
from ._reproduction import reproduction_directory as reproduction_directory
from ._reproduction import resume_reproduction as resume_reproduction
