"""Logs of runs in files and services that others have tools for."""

from ._progress import LoggedProgress as LoggedProgress
from ._progress import numbers as numbers
from ._sinks import AbstractSink as AbstractSink
from ._sinks import CSVSink as CSVSink
from ._sinks import Open as Open
from ._sinks import TensorBoardSink as TensorBoardSink
from ._sinks import WandbSink as WandbSink
from ._sinks import sinks_of as sinks_of
